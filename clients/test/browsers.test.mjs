// The package in Chromium and Firefox, over HTTP/1.1.
/* global client, follow, seen, source -- of the pages, see tools/browsers.mjs */

import assert from "node:assert/strict";
import { holds, inEachBrowser, seenBy, site } from "./tools/browsers.mjs";
import { serve, stream, until } from "./tools/server.mjs";

/** A server of numbered events that replays, as a hub does; and pages of its origin. */
async function hub(t) {
  const open = new Set();
  const log = [];
  const server = await serve(t, (request, reply) => {
    if (site(request, reply)) return;
    if (request.url.startsWith("/plain")) {
      reply.end("plain");
      return;
    }
    stream(reply, "retry: 50\n\n");
    const last = request.headers["last-event-id"];
    const from = last === undefined ? log.length : Number(last);
    for (const block of log.slice(from)) reply.write(block);
    open.add(reply);
    reply.on("close", () => open.delete(reply));
  });
  return {
    ...server,
    open,
    streams: () => server.requests.filter(({ url }) => url.startsWith("/events")),
    /** Cuts every stream, and forgets it at once: what is published next is for who comes back. */
    cut() {
      for (const reply of open) reply.destroy();
      open.clear();
    },
    publish(data) {
      const block = `id: ${log.length + 1}\ndata: ${data}\n\n`;
      log.push(block);
      for (const reply of open) reply.write(block);
    },
  };
}

const numbers = (from, to) => Array.from({ length: to - from + 1 }, (_, at) => String(from + at));
const messages = async (page) => (await seenBy(page)).filter((line) => /^\d+$/.test(line));

async function fetchStreamResumes(t, open) {
  const server = await hub(t);
  const page = await open(server.url);
  await page.evaluate(() => follow(new client.FetchStream("/events", { headers: new Headers({ "X-Token": "1" }) })));
  await holds(page, () => seen.includes("open"));
  server.publish("1");
  await holds(page, () => seen.includes("1"));
  server.cut();
  server.publish("2");
  await holds(page, () => seen.includes("2"));
  server.publish("3");
  await holds(page, () => seen.includes("3"));
  assert.deepEqual(await messages(page), ["1", "2", "3"]);
  const asked = server.streams();
  assert.equal(asked[0].headers["x-token"], "1");
  assert.equal(asked.at(-1).headers["last-event-id"], "1");
  await page.evaluate(() => source.close());
  await until("the server sees the close", () => server.open.size === 0);
}

async function lastEventIdGoesBackAsUtf8(t, open) {
  const server = await serve(t, (request, reply) => {
    if (site(request, reply)) return;
    stream(reply, "retry: 20\n\nid: ö日🎈\ndata: x\n\n");
    reply.end();
  });
  const page = await open(server.url);
  await page.evaluate(() => follow(new client.FetchStream("/events")));
  const streams = () => server.requests.filter(({ url }) => url === "/events");
  await until("two attempts", () => streams().length >= 2);
  const bytes = Buffer.from(streams()[1].headers["last-event-id"], "latin1");
  assert.equal(bytes.toString("utf8"), "ö日🎈");
}

async function aPostIsAnswered(t, open) {
  const server = await serve(t, (request, reply) => {
    if (site(request, reply)) return;
    stream(reply, "event: delta\ndata: a\n\nevent: done\ndata: [DONE]\n\n");
    reply.end();
  });
  const page = await open(server.url);
  await page.evaluate(() => follow(new client.FetchStream("/chat", { method: "POST", body: "why?" }), "delta", "done"));
  await holds(page, () => source.readyState === 2);
  assert.deepEqual(await seenBy(page), ["open", "delta a", "done [DONE]", "error 2 ended"]);
  // A browser asks for the page's icon when it likes.
  assert.equal(server.requests.find(({ url }) => url === "/chat").body, "why?");
}

async function refusalsAreReadAndSilenceIsNoticed(t, open) {
  const server = await serve(t, (request, reply, number) => {
    if (site(request, reply)) return;
    if (request.url === "/busy" && number % 2) reply.writeHead(503, { "Retry-After": "0" }).end("{}");
    else if (request.url === "/forbidden") reply.writeHead(403).end("{}");
    else stream(reply, "data: x\n\n");
  });
  const page = await open(server.url);
  await page.evaluate(() => follow(new client.FetchStream("/forbidden")));
  await holds(page, () => source.readyState === 2);
  assert.deepEqual(await seenBy(page), ["error 2 refused 403"]);
  await page.evaluate(() => {
    seen.length = 0;
    follow(new client.FetchStream("/silent", { heartbeat: 200, retry: 20 }));
    // Here, and not from outside: by then there may have been another silence.
    source.addEventListener("message", () => {
      if (seen.filter((line) => line === "x").length === 2) source.close();
    });
  });
  await holds(page, () => source.readyState === 2);
  const lines = await seenBy(page);
  // Where the server has to wait for a core, there are more silences: before an answer, and in the midst of one.
  const once = lines.slice(lines.indexOf("x")).filter((line, at, all) => !all.slice(0, at).includes(line));
  assert.deepEqual(once, ["x", "error 0 idle", "open"], lines.join());
  assert.equal(lines.at(-1), "x");
}

async function aLastingSourceComesBack(t, open) {
  const reports = [];
  let used = false;
  const server = await serve(t, (request, reply, number) => {
    if (site(request, reply)) return;
    if (request.method === "HEAD") reply.writeHead(401).end();
    else if (request.url === "/sse-reports") {
      reports.push(server.requests[number - 1].body);
      reply.writeHead(204).end();
    } else if (request.url !== "/events?ticket=1") stream(reply, "data: second\n\n");
    else if (used) reply.writeHead(401).end();
    else {
      used = true;
      stream(reply, "retry: 10\n\nid: 7\ndata: first\n\nevent: error\ndata: mine\n\nevent: open\ndata: shop\n\n");
      setTimeout(() => reply.end(), 100);
    }
  });
  const page = await open(server.url);
  await page.evaluate(() => {
    let ticket = 0;
    const report = { beacon: "/sse-reports" };
    follow(new client.LastingEventSource(() => `/events?ticket=${++ticket}`, { retry: 20, report }), "event:error", "event:open");
  });
  await holds(page, () => seen.includes("second"));
  assert.deepEqual(await seenBy(page), [
    "open", "first", "event:error mine", "event:open shop",
    // The browser tries by itself, with the ticket that is used up; then it is for us.
    "error 0 network", "error 0 gave_up", "open", "second",
  ]);
  // The look at why there was no stream, by HEAD, may come before or after it.
  const asked = server.requests.filter(({ method, url }) => method === "GET" && url.startsWith("/events"));
  assert.equal(asked.at(-1).url, "/events?ticket=2&lastEventId=7");
  await until("a report", () => reports.length === 1);
  assert.deepEqual(reports, ["http_status"]);
}

async function aBrowsersOwnSourceMixesThem(t, open) {
  const server = await serve(t, (request, reply) => {
    if (!site(request, reply)) stream(reply, "event: error\ndata: mine\n\nevent: open\ndata: shop\n\ndata: last\n\n");
  });
  const page = await open(server.url);
  await page.evaluate(() => {
    const source = new EventSource("/events");
    for (const name of ["open", "error", "message"]) {
      source[`on${name}`] = ({ type, data }) => seen.push(`${type} ${data}`);
    }
  });
  await holds(page, () => seen.length === 4);
  assert.deepEqual(await seenBy(page), ["open undefined", "error mine", "open shop", "message last"]);
}

async function sevenTabsShareOneStream(t, open) {
  const server = await hub(t);
  const pages = [];
  for (let tab = 0; tab < 7; tab += 1) {
    const page = await open(server.url);
    await page.evaluate(() => follow(new client.SharedStream("/events?topic=t")));
    pages.push(page);
  }
  for (const page of pages) await holds(page, () => source.readyState === 1);
  for (const data of numbers(1, 20)) server.publish(data);
  for (const page of pages) await holds(page, () => seen.includes("20"));
  for (const page of pages) assert.deepEqual(await messages(page), numbers(1, 20));
  assert.equal(server.open.size, 1, "one stream");
  assert.equal(server.streams().length, 1);
  // No connection is taken from anything else.
  for (const page of pages) assert.equal(await page.evaluate(async () => (await fetch("/plain")).text()), "plain");
  const leads = await Promise.all(pages.map((page) => page.evaluate(() => source.leads)));
  assert.deepEqual(leads.filter(Boolean), [true]);

  // The tab that has it goes, while events are published: another takes over, and nothing is missed.
  let next = 21;
  for (let round = 0; round < 3; round += 1) {
    const states = await Promise.all(pages.map((page) => page.evaluate(() => source.leads)));
    const [leader] = pages.splice(states.indexOf(true), 1);
    // No more than the tabs remember for each other, however long it takes.
    const most = next + 100;
    const publishing = setInterval(() => next < most && server.publish(String(next++)), 5);
    await leader.close();
    await until("another leads", async () => {
      const states = await Promise.all(pages.map((page) => page.evaluate(() => source.leads && source.readyState === 1)));
      return states.includes(true);
    });
    clearInterval(publishing);
    server.publish(String(next++));
    const last = String(next - 1);
    for (const page of pages) await holds(page, (last) => seen.includes(last), last);
    for (const page of pages) assert.deepEqual(await messages(page), numbers(1, next - 1), `round ${round}`);
    await until("the stream of the tab that went is over", () => server.open.size === 1);
  }
  await pages.pop().evaluate(() => source.close());
  server.publish(String(next));
  for (const page of pages) await holds(page, (last) => seen.includes(last), String(next));
}

async function aLateTabBeginsWhereTheOthersAre(t, open) {
  const server = await hub(t);
  const first = await open(server.url);
  await first.evaluate(() => follow(new client.SharedStream("/events?topic=u")));
  await holds(first, () => source.readyState === 1);
  server.publish("1");
  await holds(first, () => seen.includes("1"));
  const second = await open(server.url);
  await second.evaluate(() => follow(new client.SharedStream("/events?topic=u")));
  await holds(second, () => source.readyState === 1 && source.lastEventId === "1");
  await first.close();
  await until("the first stream is over", () => server.open.size === 0 || server.streams().length === 2);
  server.publish("2");
  await holds(second, () => seen.includes("2"));
  assert.deepEqual(await messages(second), ["2"]);
  assert.equal(server.streams().at(-1).headers["last-event-id"], "1");
}

async function aRefusalClosesAllTabs(t, open) {
  let streaming;
  const server = await serve(t, (request, reply) => {
    if (site(request, reply)) return;
    if (streaming) reply.writeHead(401).end();
    else {
      streaming = reply;
      stream(reply, "retry: 20\n\n");
    }
  });
  const pages = [await open(server.url), await open(server.url)];
  for (const page of pages) await page.evaluate(() => follow(new client.SharedStream("/events"), "event:error"));
  // Either may lead, and one that joins late begins where the other is: what both are to get waits for both.
  for (const page of pages) await holds(page, () => source.readyState === 1);
  streaming.end("event: error\ndata: mine\n\n");
  for (const page of pages) await holds(page, () => source.readyState === 2);
  for (const page of pages) {
    const lines = await seenBy(page);
    assert.ok(lines.includes("event:error mine"), lines.join(", "));
    assert.equal(lines.at(-1), "error 2 refused 401");
  }
  const asked = () => server.requests.filter(({ url }) => url === "/events").length;
  const before = asked();
  await new Promise((later) => setTimeout(later, 300));
  assert.equal(asked(), before, "nobody asks again");
}

inEachBrowser([
  ["FetchStream sends headers, resumes, and is gone when it is closed", fetchStreamResumes],
  ["the last event ID goes back as UTF-8", lastEventIdGoesBackAsUtf8],
  ["FetchStream reads the answer to a POST", aPostIsAnswered],
  ["FetchStream reads a refusal's status and notices a silence", refusalsAreReadAndSilenceIsNoticed],
  ["LastingEventSource comes back from a refusal with a new URL, and w15 carries events named error and open", aLastingSourceComesBack],
  ["w15 a browser's own EventSource hands them to onerror and onopen", aBrowsersOwnSourceMixesThem],
  ["seven tabs over HTTP/1.1 share one stream, and lose nothing when its tab goes", sevenTabsShareOneStream],
  ["a late tab begins where the others are, and can take over", aLateTabBeginsWhereTheOthersAre],
  ["a refusal closes the source in all tabs", aRefusalClosesAllTabs],
]);
