// The five incidents of the tour: what each does with real streams, and what tells of it.
//
// An incident gets `see(text, tone)`, which writes what the browser saw, and `url(path, origin)`, the
// address of a stream of this session. It may return what is to be closed once all has been shown.

import { element } from "./element.js";
import { foreignPage, otherOrigin, streamOrigin } from "./place.js";
import { sign } from "./sign-in.js";
import { FetchStream } from "./sse-client.js";

const STATES = ["CONNECTING", "OPEN", "CLOSED"];
const state = ({ readyState }) => `readyState ${readyState} ${STATES[readyState]}`;

/** Waits until `check` has a value, for so long at the most. */
export async function until(check, ms, message, step = 100) {
  const end = performance.now() + ms;
  for (;;) {
    const value = await check();
    if (value) return value;
    if (performance.now() > end) throw new Error(message);
    await pause(step);
  }
}

const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

/** The next event of this name, for so long at the most. */
const next = (source, name, ms = 15_000) => new Promise((resolve, reject) => {
  const late = setTimeout(() => reject(new Error(`no “${name}” within ${ms / 1000} seconds`)), ms);
  source.addEventListener(name, (event) => {
    clearTimeout(late);
    resolve(event);
  }, { once: true });
});

const event = (name) => (record) => record.event === name;
const has = (records, name, count = 1) => records.filter(event(name)).length >= count;

export const INCIDENTS = [
  {
    key: "foreign",
    title: "Foreign origin",
    story: "A page of an origin that is not on the allow-list opens the stream. The page is in a hidden frame, from the demo’s second listener.",
    needs: () => (foreignPage ? null : "The demo has no second listener (server.foreign) that a foreign page could come from."),
    async run({ see, url }) {
      const origin = new URL(foreignPage).origin;
      const said = await visit(origin, url("/events", streamOrigin), () => see(`A page of ${origin} opens a native EventSource.`));
      see(`“${said.what}” without a reason: ${state(said)}.`, said.readyState === 2 ? "bad" : "wait");
      see("The status was 403, which only the log and the developer tools show. The browser does not come back.");
    },
    enough: (records) => has(records, "sse_reject"),
    metrics: () => [
      ["sse_connections_rejected_total", { reason: "origin_denied" }, "refused"],
      ["sse_rejected_origins_total", {}, null],
    ],
    remedy: "If the page is yours, add its origin to the allow-list, then reload the page.",
  },
  {
    key: "lost",
    title: "Lost header",
    story: "This page opens a stream across origins, as it may. The demo plays a bad proxy: on the route /tour/lost-header it takes Access-Control-Allow-Origin out of the reply, behind everything that the server can see.",
    needs: () => (otherOrigin ? null : "The stream has no other name here: open this page as localhost or 127.0.0.1."),
    async run({ see, url, topic }) {
      const address = url("/tour/lost-header", otherOrigin);
      // A topic on which nothing is said: an end right after an event may be of another kind.
      address.searchParams.set("topic", topic);
      const source = new EventSource(address);
      source.addEventListener("open", () => see("Open, although the header is gone."));
      see(`A page of ${location.origin} opens a stream of ${otherOrigin}.`);
      await next(source, "error");
      see(`“error” without a reason: ${state(source)}.`, source.readyState === 2 ? "bad" : "wait");
      see("The reply was 200, and the browser keeps it to itself. The server has opened a stream: only its early end is a sign. Chromium closes the connection up to five seconds later.");
      source.close();
    },
    enough: (records) => has(records, "sse_close"),
    metrics: () => [
      ["sse_connections_opened_cors_total", { verdict: "allowed", route: "/tour/lost-header" }, null],
      ["sse_connections_immediate_close_total", { route: "/tour/lost-header" }, "closedAtOnce"],
    ],
    remedy: "Undo the proxy’s last change; sse-probe diff names the hop that loses the header.",
  },
  {
    key: "expired",
    title: "Expired token",
    story: "This page signs in for three seconds, opens a stream with the bearer token, and does not sign in again.",
    async run({ see, url }) {
      const token = await sign({ user: "tour", seconds: 3 });
      const stream = new FetchStream(url("/events", streamOrigin), { headers: { Authorization: `Bearer ${token}` }, credentials: "omit" });
      stream.addEventListener("open", () => see("Open, with a token that holds for three seconds.", "good"));
      stream.addEventListener("auth_expired", () => see("The event “auth_expired”, then the end of the stream. A page that takes a fresh token now goes on without a gap.", "wait"));
      await next(stream, "auth_expired");
      let refused = null;
      stream.addEventListener("error", ({ status }) => { refused = status; });
      await until(() => stream.readyState === 2, 20_000, "the stream was not refused");
      see(`The next attempt brings the old token: ${refused}, ${state(stream)}.`, "bad");
      stream.close();
    },
    enough: (records) => has(records, "sse_close") && has(records, "sse_reject"),
    metrics: () => [
      ["sse_connections_closed_total", { reason: "expired" }, null],
      ["sse_connections_rejected_total", { reason: "invalid_token" }, "failed"],
    ],
    remedy: "Have the page take a new token on “auth_expired”.",
  },
  {
    key: "cut",
    title: "Cut wire",
    story: "This page opens a stream and publishes on it. Then the demo cuts the connection in the middle of the reply, on the route /tour/cut-wire, as a network does, and events are published while the page is away.",
    async run({ see, url, topic, cut }) {
      const address = url("/tour/cut-wire", streamOrigin);
      address.searchParams.set("topic", topic);
      const source = new EventSource(address);
      const got = [];
      source.addEventListener("message", ({ data }) => got.push(data));
      await next(source, "open");
      await publish(topic, "first");
      await until(() => got.includes("first"), 10_000, "the first event did not arrive");
      see("Open, and the event “first” is here.", "good");
      // A stream that ends sooner looks like one that the browser has blocked.
      await pause(2000);
      const lost = next(source, "error");
      await cut();
      await lost;
      see(`The connection is cut: ${state(source)}. “second” and “third” are published meanwhile.`, "wait");
      await publish(topic, "second");
      await publish(topic, "third");
      await until(() => got.includes("third"), 20_000, "the events in between did not arrive");
      const whole = got.join() === "first,second,third";
      see(`The browser came back by itself with its Last-Event-ID: ${got.map((data) => `“${data}”`).join(", ")}, ${whole ? "each once and in order" : "not as they were published"}.`, whole ? "good" : "bad");
      return () => source.close();
    },
    enough: (records) => has(records, "sse_connect", 2) && has(records, "sse_close"),
    metrics: () => [
      ["sse_connections_closed_total", { reason: "client_gone", route: "/tour/cut-wire" }, null],
      ["sse_resumes_total", { result: "hit", route: "/tour/cut-wire" }, null],
      ["sse_connection_attempts_total", { route: "/tour/cut-wire" }, "asked"],
    ],
    remedy: "Nothing, for one client. Where many are cut at the same time, look at what they have in common: a proxy, a network, a deployment.",
  },
  {
    key: "crowd",
    title: "Crowd",
    story: "This page opens four native EventSources and asks once by fetch, on the route /tour/crowd, where an address may have two streams.",
    async run({ see, url, topic, moment }) {
      const address = url("/tour/crowd", streamOrigin);
      address.searchParams.set("topic", topic);
      const sources = Array.from({ length: 4 }, () => new EventSource(address));
      const served = new Set();
      const turnedAway = new Set();
      for (const source of sources) {
        source.addEventListener("message", () => served.add(source));
        source.addEventListener("error", () => turnedAway.add(source));
      }
      // Each publication reaches those that are in.
      await until(async () => {
        await publish(topic, "for the crowd");
        return served.size + turnedAway.size >= sources.length;
      }, 15_000, "the streams neither opened nor were refused", 400);
      const waiting = sources.filter((source) => !served.has(source));
      see(`${served.size} of 4 streams are open and have events.`, "good");
      see(`${waiting.length} were let off softly: a reply with nothing but “retry:”, so that they come back by themselves.`, "wait");
      // What no EventSource says, so that the reply is for who can read a status.
      const reply = await fetch(address, { headers: { Accept: "text/event-stream, application/json" }, cache: "no-store" });
      see(`A fetch that takes JSON as well is refused with ${reply.status} and “Retry-After: ${reply.headers.get("Retry-After")}”.`, reply.status === 429 ? "bad" : "wait");
      await reply.body?.cancel();
      await moment();
      for (const source of served) source.close();
      see("The crowd leaves: the open streams are closed.");
      await until(async () => {
        await publish(topic, "for who waited");
        return waiting.some((source) => served.has(source));
      }, 20_000, "nobody came in later", 400);
      see("One that had to wait came in by itself.", "good");
      return () => waiting.forEach((source) => source.close());
    },
    enough: (records) => has(records, "sse_reject", 2) && has(records, "sse_close", 2),
    metrics: () => [
      ["sse_connections_rejected_total", { reason: "ip_limit", mode: "soft", route: "/tour/crowd" }, null],
      ["sse_connections_rejected_total", { reason: "ip_limit", mode: "hard", route: "/tour/crowd" }, null],
    ],
    remedy: "Find out whose address it is: an abuser, a page that leaks streams, or an office, which gets a limit of its own.",
  },
];

/** Has a page of another origin open the stream, in a frame; what it says of the end of that. */
function visit(origin, stream, begin) {
  const frame = element("iframe", { class: "visitor", title: "A page of a foreign origin", tabindex: "-1", src: `${origin}/tour/visitor#${encodeURIComponent(stream)}` });
  return new Promise((resolve, reject) => {
    const leave = () => {
      removeEventListener("message", hear);
      frame.remove();
    };
    const late = setTimeout(() => {
      leave();
      reject(new Error(`no word from a page of ${origin}`));
    }, 15_000);
    const hear = ({ source, origin: from, data }) => {
      if (source !== frame.contentWindow || from !== origin) return;
      clearTimeout(late);
      leave();
      resolve(data);
    };
    addEventListener("message", hear);
    begin();
    document.body.append(frame);
  });
}

async function publish(topic, data) {
  const reply = await fetch(`/publish?${new URLSearchParams({ topic })}`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    credentials: "omit",
    body: JSON.stringify({ data }),
  });
  if (!reply.ok) throw new Error(`not published: ${reply.status}`);
}
