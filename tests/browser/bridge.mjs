// Drives one browser for a test: JSON lines on stdin, JSON lines on stdout.
//
//   -> {"id": 1, "do": "launch", "browser": "chromium", "executable": "/usr/bin/chromium"}
//   <- {"id": 1, "ok": {"pid": 4711, "version": "Chrome/156.0"}}
//   -> {"id": 2, "do": "goto", "page": 1, "url": "http://127.0.0.1:4000/"}
//   <- {"id": 2, "error": "…"}
//   <- {"page": 1, "console": "error: …"}
//
// Requests are answered as they finish, each with its id. When stdin ends, the browser is closed
// and the bridge exits: a test that dies leaves nothing behind.

import { createInterface } from "node:readline";
import { launch } from "./launch.mjs";

let browser;
const pages = new Map();
let nextPage = 1;

function say(message) {
  process.stdout.write(JSON.stringify(message) + "\n");
}

function pageOf(request) {
  const page = pages.get(request.page);
  if (page === undefined) throw new Error(`no page ${request.page}`);
  return page;
}

const commands = {
  async launch({ browser: name, executable, args = [], preferences = {} }) {
    browser = await launch({ browser: name, executable, args, preferences });
    return { pid: browser.process()?.pid ?? null, version: await browser.version() };
  },

  async open() {
    const page = await browser.newPage();
    const id = nextPage++;
    pages.set(id, page);
    page.on("console", (message) => say({ page: id, console: `${message.type()}: ${message.text()}` }));
    page.on("pageerror", (error) => say({ page: id, console: `uncaught: ${error?.message ?? error}` }));
    return id;
  },

  async goto(request) {
    // "load" would wait for ever on some pages with an open stream in a frame.
    await pageOf(request).goto(request.url, { waitUntil: "domcontentloaded", timeout: request.limit });
    return null;
  },

  async back(request) {
    await pageOf(request).goBack({ waitUntil: "domcontentloaded", timeout: request.limit });
    return null;
  },

  async evaluate(request) {
    return (await pageOf(request).evaluate(request.script)) ?? null;
  },

  // Until the expression is truthy; its value is the answer.
  async wait(request) {
    const handle = await pageOf(request).waitForFunction(request.script, {
      timeout: request.limit,
      polling: 50,
    });
    return (await handle.jsonValue()) ?? null;
  },

  // Keys as a person presses them, where the focus is.
  async press(request) {
    await pageOf(request).keyboard.press(request.key);
    return null;
  },

  async type(request) {
    await pageOf(request).keyboard.type(request.text);
    return null;
  },

  async screenshot(request) {
    await pageOf(request).screenshot({ path: request.path, fullPage: true });
    return null;
  },

  async viewport(request) {
    await pageOf(request).setViewport({ width: request.width, height: request.height });
    return null;
  },

  async closePage(request) {
    const page = pageOf(request);
    pages.delete(request.page);
    await page.close();
    return null;
  },
};

async function answer(line) {
  const request = JSON.parse(line);
  try {
    const command = commands[request.do];
    if (command === undefined) throw new Error(`unknown command ${request.do}`);
    say({ id: request.id, ok: await command(request) });
  } catch (error) {
    say({ id: request.id, error: String(error?.message ?? error) });
  }
}

async function leave() {
  const open = browser;
  browser = undefined;
  try {
    await open?.close();
  } finally {
    process.exit(0);
  }
}

const lines = createInterface({ input: process.stdin });
lines.on("line", (line) => void answer(line));
lines.on("close", () => void leave());
process.on("SIGTERM", () => void leave());
process.on("SIGINT", () => void leave());
