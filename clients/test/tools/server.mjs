// What the tests stand on: a server whose replies a test writes by hand, and waiting with a limit.

import { createServer } from "node:http";

/** Longer than anything takes on a busy machine. */
export const LIMIT = 60_000;

/** Waits until the condition is truthy; its value. */
export async function until(what, condition, limit = LIMIT) {
  const end = Date.now() + limit;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > end) throw new Error(`${limit} ms are over: ${what}`);
    await new Promise((later) => setTimeout(later, 10));
  }
}

/**
 * Serves on loopback until the test ends. `answer(request, reply, number)` gets each request with
 * its number from 1; `server.requests` has them all, with their bodies.
 */
export async function serve(t, answer, host = "127.0.0.1") {
  const requests = [];
  const server = createServer((request, reply) => {
    let body = "";
    request.setEncoding("utf8").on("data", (text) => (body += text)).on("end", () => {
      requests.push({ method: request.method, url: request.url, headers: request.headers, rawHeaders: request.rawHeaders, body });
      answer(request, reply, requests.length);
    });
  });
  await new Promise((listening) => server.listen(0, host, listening));
  const port = server.address().port;
  const close = () => {
    server.closeAllConnections();
    return new Promise((closed) => server.close(closed));
  };
  t.after(close);
  return { requests, url: `http://${host}:${port}/`, port, close, cut: () => server.closeAllConnections() };
}

/** Begins an event stream, and sends this much of it. */
export function stream(reply, text = "", headers = {}) {
  reply.writeHead(200, { "Content-Type": "text/event-stream", ...headers });
  reply.flushHeaders();
  if (text) reply.write(text);
}

/** Notes what a source dispatches, as lines; server's events of these names too. */
export function watch(source, ...names) {
  const seen = [];
  source.onopen = () => seen.push("open");
  source.onmessage = ({ data, lastEventId }) => seen.push(`message ${data} ${lastEventId}`.trim());
  source.onerror = ({ failure, status }) => {
    seen.push(["error", source.readyState, failure, status].filter((part) => part !== undefined).join(" "));
  };
  for (const name of names) {
    source.addEventListener(name, ({ type, data }) => seen.push(`${type} ${data}`));
  }
  return seen;
}

/** Closes a source when the test ends. */
export function closing(t, source) {
  t.after(() => source.close());
  return source;
}
