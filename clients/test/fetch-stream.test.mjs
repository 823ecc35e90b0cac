// FetchStream in Node, against a server of a few lines.

import assert from "node:assert/strict";
import { test } from "node:test";
import { FetchStream } from "actix-web-sse-client";
import { closing, serve, stream, until, watch } from "./tools/server.mjs";

const quick = { retry: 10, longestRetry: 40 };
const sleep = (wait) => new Promise((done) => setTimeout(done, wait));

test("it looks like an EventSource: handlers, listeners, constants, reconnects", async (t) => {
  const server = await serve(t, (_, reply, number) => {
    stream(reply, `retry: 10\n\nid: ${number}\ndata: a\n\nevent: price\ndata: b\n\n`);
    if (number === 1) reply.end();
  });
  const source = closing(t, new FetchStream(server.url));
  assert.equal(source.readyState, FetchStream.CONNECTING);
  assert.equal(source.url, server.url);
  assert.equal(source.withCredentials, false);
  const seen = watch(source, "price");
  await until("it comes back", () => seen.length === 7);
  assert.deepEqual(seen, ["open", "message a 1", "price b", "error 0 ended", "open", "message a 2", "price b"]);
  assert.equal(source.readyState, source.OPEN);
  assert.equal(source.lastEventId, "2");
  assert.equal(server.requests[0].headers["last-event-id"], undefined);
  assert.equal(server.requests[1].headers["last-event-id"], "1");
  assert.equal(server.requests[0].headers.accept, "text/event-stream");
  source.onmessage = null;
  assert.equal(source.onmessage, null);
  source.close();
  assert.equal(source.readyState, FetchStream.CLOSED);
});

test("headers are an object, a list, Headers, or a function that is asked for each attempt", async (t) => {
  const server = await serve(t, (_, reply) => {
    stream(reply, "retry: 10\n\n");
    reply.end();
  });
  let asked = 0;
  const forms = [
    { "X-Token": "1" },
    [["X-Token", "1"]],
    new Headers({ "X-Token": "1" }),
    () => ({ "X-Token": String(++asked) }),
    async () => new Headers({ "X-Token": "1", Accept: "text/event-stream, application/json" }),
  ];
  for (const [at, headers] of forms.entries()) {
    // A place of its own: the last attempt of the source before may still be on its way.
    const attempts = () => server.requests.filter(({ url }) => url === `/${at}`);
    const source = closing(t, new FetchStream(`${server.url}${at}`, { headers }));
    await until("two attempts", () => attempts().length >= 2);
    source.close();
    assert.equal(attempts()[0].headers["x-token"], "1");
  }
  assert.ok(asked >= 2);
  assert.equal(server.requests.at(-1).headers.accept, "text/event-stream, application/json");
});

test("an answer to a POST is read to its end, and not asked for again", async (t) => {
  const server = await serve(t, (_, reply, number) => {
    if (number < 3) {
      reply.writeHead(number === 1 ? 429 : 503, { "Retry-After": "0" }).end();
    } else {
      stream(reply, "event: delta\ndata: a\n\nevent: done\ndata: [DONE]\n\n");
      reply.end();
    }
  });
  const init = { method: "POST", body: () => JSON.stringify({ prompt: "why?" }), headers: { "Content-Type": "application/json" } };
  const source = closing(t, new FetchStream(server.url, { ...init, ...quick }));
  const seen = watch(source, "delta", "done");
  await until("the end", () => source.readyState === FetchStream.CLOSED);
  assert.deepEqual(seen, ["error 0 refused 429", "error 0 refused 503", "open", "delta a", "done [DONE]", "error 2 ended"]);
  assert.deepEqual(server.requests.map(({ method, body }) => `${method} ${body}`), Array(3).fill('POST {"prompt":"why?"}'));

  const failing = await serve(t, (_, reply) => reply.writeHead(500).end());
  const other = closing(t, new FetchStream(failing.url, { ...init, ...quick }));
  await until("it gives up", () => other.readyState === FetchStream.CLOSED);
  assert.equal(failing.requests.length, 1, "a 500 does not say that nothing was done");

  const wanted = closing(t, new FetchStream(failing.url, { ...init, ...quick, reconnect: true }));
  await until("it tries again where it may", () => failing.requests.length >= 3);
  wanted.close();
});

test("a fetch of the page's own is used", async (t) => {
  const asked = [];
  const own = async (url, init) => {
    asked.push([String(url), init.headers.get("accept")]);
    return new Response("data: x\n\n", { headers: { "Content-Type": "Text/Event-Stream; charset=utf-8" } });
  };
  const source = closing(t, new FetchStream("https://stream.example/events", { fetch: own, ...quick }));
  const seen = watch(source);
  await until("an event", () => seen.includes("message x"));
  assert.deepEqual(asked[0], ["https://stream.example/events", "text/event-stream"]);
});

test("an AbortSignal closes it, before, during and between attempts", async (t) => {
  const server = await serve(t, (_, reply) => stream(reply, "data: x\n\n"));
  const before = new FetchStream(server.url, { signal: AbortSignal.abort() });
  assert.equal(before.readyState, FetchStream.CLOSED);

  const leave = new AbortController();
  const during = new FetchStream(server.url, { signal: leave.signal });
  const seen = watch(during);
  await until("an event", () => seen.length === 2);
  leave.abort();
  assert.equal(during.readyState, FetchStream.CLOSED);
  await sleep(50);
  assert.deepEqual(seen, ["open", "message x"], "no error for what the page did itself");
  assert.equal(server.requests.length, 1);

  const busy = await serve(t, (_, reply) => reply.writeHead(503).end());
  const later = new AbortController();
  const between = new FetchStream(busy.url, { signal: later.signal, retry: 60_000 });
  const waits = watch(between);
  await until("a refusal", () => waits.length === 1);
  later.abort();
  assert.equal(between.readyState, FetchStream.CLOSED);
});

test("408, 425, 429, any 5xx and the network are tried again; other statuses and types are final", async (t) => {
  for (const status of [408, 425, 429, 500, 501, 502, 503, 504, 599]) {
    const server = await serve(t, (_, reply, number) => {
      if (number < 3) reply.writeHead(status).end("{}");
      else stream(reply);
    });
    const source = closing(t, new FetchStream(server.url, quick));
    const seen = watch(source);
    await until(`a stream after ${status}`, () => seen.includes("open"));
    assert.deepEqual(seen, [`error 0 refused ${status}`, `error 0 refused ${status}`, "open"]);
    source.close();
  }
  for (const status of [204, 400, 401, 403, 404, 406, 410]) {
    const server = await serve(t, (_, reply) => reply.writeHead(status).end());
    const source = closing(t, new FetchStream(server.url, quick));
    const seen = watch(source);
    await until(`the end after ${status}`, () => source.readyState === FetchStream.CLOSED);
    await sleep(30);
    assert.deepEqual(seen, [`error 2 refused ${status}`]);
    assert.equal(server.requests.length, 1);
  }
  const page = await serve(t, (_, reply) => reply.writeHead(200, { "Content-Type": "text/html" }).end("<p>"));
  const source = closing(t, new FetchStream(page.url, quick));
  const seen = watch(source);
  await until("the end after a page", () => seen.length === 1);
  assert.deepEqual(seen, ["error 2 content_type 200"]);

  const gone = await serve(t, () => {});
  await gone.close();
  const nowhere = closing(t, new FetchStream(gone.url, quick));
  const tries = watch(nowhere);
  await until("three tries", () => tries.length >= 3);
  assert.ok(tries.every((line) => line === "error 0 network"), tries.join());
});

test("waits double up to a bound, are spread, and start again after a stream", async (t) => {
  const gaps = [];
  let last = 0;
  const own = async () => {
    const now = performance.now();
    if (last) gaps.push(now - last);
    last = now;
    return new Response("", { status: 503 });
  };
  const random = t.mock.method(Math, "random", () => 0.5);
  const source = closing(t, new FetchStream("https://x.example/", { fetch: own, retry: 40, longestRetry: 160 }));
  await until("six attempts", () => gaps.length === 5);
  source.close();
  for (const [at, wanted] of [40, 80, 160, 160, 160].entries()) {
    assert.ok(gaps[at] >= wanted - 2, `${gaps}`);
  }
  random.mock.mockImplementation(() => 0);
  const early = closing(t, new FetchStream("https://x.example/", { fetch: own, retry: 100, longestRetry: 100 }));
  gaps.length = 0;
  await until("spread downwards", () => gaps.length === 3);
  early.close();
  assert.ok(gaps.slice(1).every((gap) => gap >= 78), `${gaps}`);
});

test("Retry-After counts in seconds or as a date, never early, up to a cap", async (t) => {
  const waits = [];
  t.mock.method(globalThis, "setTimeout", new Proxy(setTimeout, {
    apply(target, self, [callback, wait, ...rest]) {
      if (callback.name === "done") waits.push(wait);
      return Reflect.apply(target, self, [callback, Math.min(wait, 5), ...rest]);
    },
  }));
  const values = ["2", new Date(Date.now() + 90_000).toUTCString(), "999999999", "soon", "0"];
  let number = 0;
  const own = async () => new Response("", { status: 429, headers: { "Retry-After": values[number++ % values.length] } });
  const source = closing(t, new FetchStream("https://x.example/", { fetch: own, heartbeat: 0, retry: 1, longestRetry: 1 }));
  await until("five waits", () => waits.length >= 5);
  source.close();
  const within = (wait, low, high) => assert.ok(wait >= low && wait <= high, `${wait} of ${waits}`);
  within(waits[0], 2000, 2400);
  within(waits[1], 80_000, 108_000);
  within(waits[2], 300_000, 360_000);
  within(waits[3], 0.8, 1.2);
  within(waits[4], 0.8, 1.2);
});

test("a retry that no timer can hold does not come back at once", async (t) => {
  const server = await serve(t, (_, reply) => {
    stream(reply, "retry: 99999999999\n\n");
    reply.end();
  });
  const source = closing(t, new FetchStream(server.url));
  const seen = watch(source);
  await until("the end", () => seen.includes("error 0 ended"));
  await sleep(100);
  assert.equal(server.requests.length, 1);
});

test("the last event ID goes back as UTF-8", async (t) => {
  const server = await serve(t, (_, reply) => {
    stream(reply, "retry: 10\nid: ö日🎈\ndata: x\n\n");
    reply.end();
  });
  const source = closing(t, new FetchStream(server.url));
  await until("two attempts", () => server.requests.length >= 2);
  source.close();
  // Node hands out each byte of a header as a character.
  const bytes = Buffer.from(server.requests[1].headers["last-event-id"], "latin1");
  assert.equal(bytes.toString("utf8"), "ö日🎈");
});

test("an id-only block is where the next attempt resumes, and no message", async (t) => {
  const server = await serve(t, (_, reply, number) => {
    stream(reply, number === 1 ? "retry: 10\n\nid: first\n\n" : "");
    if (number === 1) reply.end();
  });
  const source = closing(t, new FetchStream(server.url));
  const seen = watch(source);
  await until("two attempts", () => server.requests.length === 2);
  assert.equal(server.requests[1].headers["last-event-id"], "first");
  assert.deepEqual(seen.filter((line) => line.startsWith("message")), []);
});

test("where it is told to, it resumes from an ID of before", async (t) => {
  const server = await serve(t, (_, reply) => stream(reply));
  closing(t, new FetchStream(server.url, { lastEventId: "5" }));
  await until("a request", () => server.requests.length === 1);
  assert.equal(server.requests[0].headers["last-event-id"], "5");
});

test("the body of a refusal is cancelled, so that its connection is free", async (t) => {
  let cancelled = 0;
  const own = async () => {
    const body = new ReadableStream({
      cancel() {
        cancelled += 1;
      },
    });
    return new Response(body, { status: 503 });
  };
  const source = closing(t, new FetchStream("https://x.example/", { fetch: own, ...quick }));
  await until("three refusals", () => cancelled >= 3);
  source.close();
});

test("an event above the bound closes the stream", async (t) => {
  const server = await serve(t, (_, reply) => stream(reply, `data: ${"x".repeat(2000)}\n\n`));
  const source = closing(t, new FetchStream(server.url, { maxEvent: 1000, ...quick }));
  const seen = watch(source);
  await until("the end", () => source.readyState === FetchStream.CLOSED);
  assert.deepEqual(seen, ["open", "error 2 overflow"]);
});

test("w15 a server's event named error or open is carried, and is none of the connection's", async (t) => {
  const server = await serve(t, (_, reply) => {
    stream(reply, "event: error\ndata: {\"code\":1}\n\nevent: open\ndata: shop\n\ndata: after\n\n");
  });
  const source = closing(t, new FetchStream(server.url));
  const seen = watch(source, "event:error", "event:open");
  await until("all three", () => seen.length === 4);
  assert.deepEqual(seen, ["open", 'event:error {"code":1}', "event:open shop", "message after"]);
  assert.equal(source.readyState, FetchStream.OPEN);
});

test("a URL by a function is asked for each attempt; when it throws, that is the end", async (t) => {
  const server = await serve(t, (_, reply) => {
    stream(reply, "retry: 10\n\n");
    reply.end();
  });
  let number = 0;
  const cause = new Error("no ticket: 401");
  const source = closing(t, new FetchStream(() => {
    number += 1;
    if (number === 2) throw new TypeError("fetch failed");
    if (number === 4) throw cause;
    return `${server.url}?ticket=${number}`;
  }, quick));
  let last;
  source.addEventListener("error", (event) => (last = event));
  await until("the end", () => source.readyState === FetchStream.CLOSED);
  assert.deepEqual(server.requests.map(({ url }) => url), ["/?ticket=1", "/?ticket=3"]);
  assert.equal(last.failure, "caller");
  assert.equal(last.cause, cause);
});

test("the watchdog notices a silence, and lets heartbeats live", async (t) => {
  const server = await serve(t, (_, reply, number) => {
    stream(reply, "retry: 10\n\nid: 1\ndata: x\n\n");
    if (number === 1) return;
    const beat = setInterval(() => reply.write(":\n"), 40);
    reply.on("close", () => clearInterval(beat));
  });
  const start = performance.now();
  // Longer than the first bytes take where two pauses of the process come one after the other.
  const source = closing(t, new FetchStream(server.url, { heartbeat: 800 }));
  const seen = watch(source);
  await until("it comes back", () => server.requests.length === 2);
  const noticed = performance.now() - start;
  assert.ok(noticed >= 1990, `after ${noticed} ms`);
  await sleep(3000);
  assert.equal(server.requests.length, 2, "heartbeats are signs of life");
  assert.deepEqual(seen, ["open", "message x 1", "error 0 idle", "open", "message x 1"]);
  assert.equal(server.requests[1].headers["last-event-id"], "1");

  const patient = closing(t, new FetchStream(server.url, { heartbeat: 0 }));
  assert.equal(patient.readyState, FetchStream.CONNECTING);
});

test("the watchdog notices a server that never answers", async (t) => {
  const server = await serve(t, () => {});
  const source = closing(t, new FetchStream(server.url, { heartbeat: 100, ...quick }));
  const seen = watch(source);
  await until("two attempts", () => server.requests.length >= 2);
  assert.equal(seen[0], "error 0 idle");
});

test("the watchdog needs no help of an own fetch", async (t) => {
  const never = closing(t, new FetchStream("https://x.example/", { fetch: () => new Promise(() => {}), heartbeat: 50, ...quick }));
  const unanswered = watch(never);
  await until("two failures", () => unanswered.length >= 2);
  assert.equal(unanswered[0], "error 0 idle");

  let cancelled = 0;
  const silent = async () => new Response(new ReadableStream({ cancel: () => void (cancelled += 1) }), { headers: { "Content-Type": "text/event-stream" } });
  const source = closing(t, new FetchStream("https://x.example/", { fetch: silent, heartbeat: 50, ...quick }));
  const seen = watch(source);
  await until("two streams", () => seen.length >= 4);
  assert.deepEqual(seen.slice(0, 3), ["open", "error 0 idle", "open"]);
  assert.ok(cancelled >= 1);
});

test("a cut is not reported, and who asks for the reason is authenticated", async (t) => {
  const heads = [];
  const server = await serve(t, (request, reply) => {
    if (request.method === "HEAD") {
      heads.push(request.headers["x-token"]);
      reply.writeHead(200, { "Content-Type": "text/event-stream" }).end();
    } else if (server.requests.length < 3) {
      stream(reply, "retry: 10\n\n");
      setTimeout(() => reply.destroy(), 20);
    } else reply.destroy();
  });
  const reports = [];
  const source = closing(t, new FetchStream(server.url, { ...quick, headers: { "X-Token": "1" }, report: { callback: (report) => reports.push(report) } }));
  await until("a report", () => reports.length === 1);
  source.close();
  assert.deepEqual(reports, [{ diagnosis: "network", url: server.url, final: false }]);
  assert.deepEqual(heads, ["1"]);
});

test("reports go to Sentry, Faro and OpenTelemetry by a callback, without the query", async (t) => {
  const server = await serve(t, (_, reply, number) => reply.writeHead(number < 4 ? 503 : 403).end());
  const said = { sentry: [], faro: [], otel: [] };
  const Sentry = { captureMessage: (message, context) => said.sentry.push([message, context]) };
  const faro = { api: { pushEvent: (name, attributes) => said.faro.push([name, attributes]) } };
  const counter = { add: (count, attributes) => said.otel.push([count, attributes]) };
  const callback = ({ diagnosis, url, status, final }) => {
    Sentry.captureMessage("event stream", { extra: { diagnosis, url, status, final } });
    faro.api.pushEvent("event_stream", { diagnosis, url, status: String(status) });
    counter.add(1, { diagnosis });
  };
  const source = closing(t, new FetchStream(`${server.url}events?ticket=secret`, { ...quick, report: { callback } }));
  await until("the end", () => source.readyState === FetchStream.CLOSED);
  await until("two reports", () => said.otel.length === 2);
  const url = `${server.url}events`;
  assert.deepEqual(said.sentry.map(([, { extra }]) => extra), [
    { diagnosis: "http_status", url, status: 503, final: false },
    { diagnosis: "http_status", url, status: 403, final: true },
  ]);
  assert.equal(said.faro.length, 2);

  const gone = await serve(t, () => {});
  await gone.close();
  const reports = [];
  const lost = closing(t, new FetchStream(gone.url, { ...quick, report: { callback: (report) => reports.push(report) } }));
  const seen = watch(lost);
  await until("some attempts", () => seen.length >= 3 && reports.length >= 1);
  lost.close();
  assert.deepEqual(reports, [{ diagnosis: "network", url: gone.url, final: false }], "one of a row");
});
