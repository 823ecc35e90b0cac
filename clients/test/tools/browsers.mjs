// The browsers of this machine, with pages that have the package as `client`.

import { existsSync, readFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { after, describe, test } from "node:test";
import { launch } from "../../../tests/browser/launch.mjs";

const BROWSERS = { chromium: ["chromium", "chromium-browser", "google-chrome"], firefox: ["firefox-esr", "firefox"] };
const CLIENT = readFileSync(new URL("../../bundle/sse-client.js", import.meta.url));

function executable(names) {
  const folders = (process.env.PATH ?? "").split(delimiter);
  const programs = names.flatMap((name) => folders.map((folder) => join(folder, name)));
  const found = programs.find((program) => existsSync(program));
  if (!found) throw new Error(`${names[0]} is not installed; tests/run installs it`);
  return found;
}

/** Makes each of these tests one of each browser: `tests` are `[name, (t, open) => …]`. */
export function inEachBrowser(tests) {
  for (const [browser, names] of Object.entries(BROWSERS)) {
    describe(browser, () => {
      let running;
      after(async () => (await running)?.close());
      for (const [name, run] of tests) {
        test(name, async (t) => {
          running ??= launch({ browser, executable: executable(names) });
          const started = await running;
          const pages = [];
          t.after(() => Promise.all(pages.map((page) => page.close().catch(() => {}))));
          await run(t, async (url) => {
            const page = await started.newPage();
            pages.push(page);
            page.setDefaultTimeout(60_000);
            await page.goto(url, { waitUntil: "domcontentloaded" });
            await page.evaluate(async () => {
              globalThis.client = await import("/sse-client.js");
              globalThis.seen = [];
              globalThis.follow = (source, ...names) => {
                globalThis.source = source;
                const seen = globalThis.seen;
                source.onopen = () => seen.push("open");
                source.onmessage = ({ data }) => seen.push(data);
                source.onerror = ({ failure, status }) => seen.push(["error", source.readyState, failure, status].filter((part) => part !== undefined).join(" "));
                for (const name of names) source.addEventListener(name, ({ type, data }) => seen.push(`${type} ${data}`));
              };
            });
            return page;
          });
        });
      }
    });
  }
}

/** Answers a request for a page or for the package; false if it is for neither. */
export function site(request, reply) {
  if (request.url === "/") reply.writeHead(200, { "Content-Type": "text/html" }).end("<!doctype html><title>page</title>");
  else if (request.url === "/sse-client.js") reply.writeHead(200, { "Content-Type": "text/javascript" }).end(CLIENT);
  else if (request.url === "/favicon.ico") reply.writeHead(404).end();
  else return false;
  return true;
}

/** Waits until an expression is truthy on a page. */
export const holds = (page, condition, ...args) => page.waitForFunction(condition, { polling: 50, timeout: 60_000 }, ...args);

/** What a page has seen. */
export const seenBy = (page) => page.evaluate(() => globalThis.seen);
