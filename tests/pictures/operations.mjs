// Draws the operations page as the book shows it, from a demo with a few clients:
//
//     cargo build -p demo && node tests/pictures/operations.mjs
//
// It writes docs/src/pictures/operations.png. It needs Chromium and the npm packages of tests/browser.

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { launch } from "../browser/launch.mjs";

const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), "../..");
const OUT = join(ROOT, "docs/src/pictures/operations.png");
const TOKEN = "operators-token-of-the-picture";
const APP = "https://app.example.com";

const folder = mkdtempSync(join(tmpdir(), "operations-"));
writeFileSync(
  join(folder, "demo.toml"),
  `[server]
listen = "127.0.0.1:0"
sign_in = true
tick = "400ms"
[metrics]
operators = { bearer = "${TOKEN}" }
[policy]
hosts = ["127.0.0.1"]
[policy.origins]
allow = ["${APP}", "https://*.tenant.example.com"]
credentials = true
`,
);
const demo = spawn(join(ROOT, "target/debug/demo"), ["--config", join(folder, "demo.toml")]);
const clients = new AbortController();
let browser;
try {
  const places = await placesOf(demo);
  await openStreams(places.page);
  browser = await launch({ browser: "chromium", executable: process.env.CHROMIUM ?? "/usr/bin/chromium" });
  const page = await browser.newPage();
  await page.setViewport({ width: 1320, height: 860, deviceScaleFactor: 1 });
  await page.goto(places.streams);
  await page.waitForSelector("#token", { visible: true });
  await page.type("#token", TOKEN);
  await page.keyboard.press("Enter");
  // Long enough for some events, and for an age that looks like one.
  await page.waitForFunction("[...document.querySelectorAll('#rows .number')].some((cell) => /^[34]. s$/.test(cell.textContent))", { timeout: 60_000 });
  await page.screenshot({ path: OUT });
} finally {
  await browser?.close();
  clients.abort();
  demo.kill();
  rmSync(folder, { recursive: true });
}

/** What the demo prints: a word a line, and what it says. */
async function placesOf(process) {
  const places = {};
  for await (const line of createInterface({ input: process.stdout })) {
    if (line === "ready") return places;
    const [name, value] = line.split(/\s+/);
    places[name] = value;
  }
  throw new Error("the demo has ended");
}

async function openStreams(at) {
  const request = (topic, headers) =>
    fetch(`${at}events?topic=${topic}`, { signal: clients.signal, headers: { Accept: "text/event-stream", ...headers } })
      .then(async (response) => {
        for await (const part of response.body) if (part === null) break;
      })
      .catch(() => {});
  const signedIn = async (user) => {
    const body = JSON.stringify({ user, seconds: 3600 });
    const headers = { "Content-Type": "application/json", Origin: APP };
    const { token } = await (await fetch(`${at}session`, { method: "POST", headers, body })).json();
    return { Authorization: `Bearer ${token}`, Origin: APP };
  };
  for (const user of ["ada", "grace", "ada", "linus"]) void request("demo", await signedIn(user));
  for (const shop of ["north", "south"]) void request("orders", { Origin: `https://${shop}.tenant.example.com` });
  void request("demo", {});
  for (const origin of ["https://staging.example.com", "https://staging.example.com", "https://elsewhere.example"]) {
    await request("demo", { Origin: origin });
  }
  await request("demo", { Authorization: "Bearer expired" });
}
