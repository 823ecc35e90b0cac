// Draws the dashboards as pictures, from live data, with Grafana's own components and no Grafana
// server: node tests/pictures/draw.mjs [--minutes 14] [--again] [--faults URL [--ago 0]]
//
// It runs the scene (Rust: two demos, Redis, nginx, clients, sse-probe watch, Prometheus), asks Prometheus
// what every panel asks, draws the answers in headless Chromium, and writes grafana/pictures/*.png.
// `--again` draws the answers of the last run once more. `--faults` asks the Prometheus of a live-fire run that is under way
// for some of its cells, once their alerts fire (or so many seconds ago, while it waits for them to stop), and writes grafana/pictures/faults/*.png: what the first screen shows of each
// kind of fault. Nothing of this is shipped.

import { execFileSync, spawn } from "node:child_process";
import { createReadStream, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { dirname, extname, join, relative, resolve } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const HERE = dirname(fileURLToPath(import.meta.url));
const ROOT = resolve(HERE, "../..");
const OUT = join(ROOT, "grafana/pictures");
const WORK = join(ROOT, "target/pictures");
const BOARDS = ["overview", "cors", "auth", "delivery", "connections", "probe"];
// One cell of each fault, each browser, each protocol and each proxy among them.
const CELLS = [
  "stripped-chromium-h1-nginx",
  "doubled-firefox-h2-nginx",
  "wildcard-chromium-h1-haproxy",
  "lost-firefox-h2-haproxy",
  "none-chromium-h2-haproxy",
];

const { values: options } = parseArgs({
  options: {
    minutes: { type: "string", default: "14" },
    again: { type: "boolean", default: false },
    faults: { type: "string" },
    ago: { type: "string", default: "0" },
  },
});

if (!existsSync(join(HERE, "node_modules/@grafana/ui"))) {
  execFileSync("npm", ["ci", "--no-audit", "--no-fund", "--ignore-scripts"], { cwd: HERE, stdio: "inherit" });
}
const { default: esbuild } = await import("esbuild");
const { default: puppeteer } = await import("puppeteer-core");
const { default: UPNG } = await import("upng-js");
const { look } = await import("./prometheus.mjs");

mkdirSync(WORK, { recursive: true });

/** Lets the scene play, and keeps what every dashboard shows of it. */
async function gather() {
  const programs = ["dashboard-scene", "demo-under-test", "sse-probe"];
  const bins = programs.flatMap((name) => ["--bin", name]);
  const features = ["--features", "actix-web-sse-tests/pictures"];
  const packages = ["-p", "actix-web-sse-tests", "-p", "sse-probe"];
  execFileSync("cargo", ["build", "--locked", ...packages, ...features, ...bins], { cwd: ROOT, stdio: "inherit" });
  const program = (name) => join(ROOT, "target/debug", name);
  const places = ["--demo", program("demo-under-test"), "--probe", program("sse-probe")];
  const scene = spawn(program("dashboard-scene"), [...places, "--minutes", options.minutes], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  console.log(`the scene plays for ${options.minutes} minutes`);
  for await (const line of createInterface({ input: scene.stdout })) {
    const told = JSON.parse(line);
    for (const name of BOARDS) {
      const dashboard = JSON.parse(readFileSync(join(ROOT, `grafana/dashboards/${name}.json`), "utf8"));
      writeFileSync(join(WORK, `${name}.json`), JSON.stringify(await look(dashboard, told)));
    }
    scene.stdin.end();
  }
}

/** Keeps what the first screen shows of some cells. */
async function gatherFaults(prometheus) {
  const to = Date.now() / 1000 - Number(options.ago);
  const dashboard = JSON.parse(readFileSync(join(ROOT, "grafana/dashboards/cors.json"), "utf8"));
  for (const namespace of CELLS) {
    const told = { prometheus, from: to - 900, to, scrape: 15, namespace };
    writeFileSync(join(WORK, `${namespace}.json`), JSON.stringify(await look(dashboard, told)));
  }
}

/** Bundles the page; the icons of the panels are files beside it. */
async function bundle() {
  await esbuild.build({
    entryPoints: [join(HERE, "page.jsx")],
    outfile: join(WORK, "page.js"),
    bundle: true,
    jsx: "automatic",
    format: "iife",
    // Of an editor that no panel has.
    loader: { ".ttf": "empty" },
    define: { "process.env.NODE_ENV": '"production"', global: "globalThis" },
    logLevel: "warning",
  });
}

/** Where Grafana's components look for icons and fonts. */
const PUBLIC = [
  [/^\/public\/build\/img\/icons\/(.+)$/, "@grafana/ui/dist/public/img/icons/$1"],
  [/^\/public\/fonts\/inter\/Inter-Regular\.woff2$/, "@fontsource/inter/files/inter-latin-400-normal.woff2"],
  [/^\/public\/fonts\/inter\/Inter-Medium\.woff2$/, "@fontsource/inter/files/inter-latin-500-normal.woff2"],
];
const KINDS = { ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".woff2": "font/woff2" };
const PAGE = `<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,">
  <link rel="stylesheet" href="/page.css"><div id="page"></div><script src="/page.js"></script>`;

function serve() {
  const server = createServer((request, response) => {
    const path = new URL(request.url, "http://page").pathname;
    if (path === "/") return response.setHeader("Content-Type", "text/html").end(PAGE);
    const [pattern, place] = PUBLIC.find(([pattern]) => pattern.test(path)) ?? [];
    const file = pattern ? join(HERE, "node_modules", path.replace(pattern, place)) : join(WORK, path);
    if (!existsSync(file)) return response.writeHead(404).end();
    response.setHeader("Content-Type", KINDS[extname(file)] ?? "application/octet-stream");
    return createReadStream(file).pipe(response);
  });
  return new Promise((ready) => server.listen(0, "127.0.0.1", () => ready(server)));
}

/** Without colours that nobody sees: a quarter of the size. */
function smaller(png) {
  const image = UPNG.decode(png);
  return Buffer.from(UPNG.encode(UPNG.toRGBA8(image), image.width, image.height, 128));
}

async function draw(names, out) {
  mkdirSync(out, { recursive: true });
  const server = await serve();
  const browser = await puppeteer.launch({
    browser: "chrome",
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    headless: true,
    // All of it at once: a table below the fold stays empty.
    defaultViewport: { width: 1480, height: 4000 },
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
      "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });
  try {
    const page = await browser.newPage();
    // A machine that measures beside this is slow.
    page.setDefaultTimeout(300_000);
    page.on("pageerror", (error) => console.error(`page: ${error.message}`));
    page.on("console", (message) => message.type() === "error" && console.error(`page: ${message.text()}`));
    page.on("response", (response) => response.status() >= 400 && console.error(`page: ${response.status()} ${response.url()}`));
    for (const name of names) {
      await page.goto(`http://127.0.0.1:${server.address().port}/`, { waitUntil: "networkidle0" });
      const board = JSON.parse(readFileSync(join(WORK, `${name}.json`), "utf8"));
      await page.evaluate((board) => globalThis.draw(board), board);
      await page.waitForNetworkIdle();
      const picture = await page.waitForSelector("main");
      const png = smaller(await picture.screenshot());
      writeFileSync(join(out, `${name}.png`), png);
      console.log(`${relative(ROOT, join(out, name))}.png ${Math.round(png.length / 1024)} KiB`);
    }
  } finally {
    await browser.close();
    server.close();
  }
}

if (!options.again) await (options.faults ? gatherFaults(options.faults) : gather());
await bundle();
if (options.faults) await draw(CELLS, join(OUT, "faults"));
else await draw(BOARDS, OUT);
