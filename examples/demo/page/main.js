// The page: what the buttons do, and what is shown.

import { History, area, bars, mirrored } from "./charts.js";
import { byId, element } from "./element.js";
import * as explain from "./explain.js";
import { ask, judge } from "./headers.js";
import { by, poll, total } from "./metrics.js";
import { foreignPage, isForeign, isListed, metricsElsewhere, streamOrigin, streamUrl, targets } from "./place.js";
import { Stream } from "./stream.js";

const SHOWN_EVENTS = 200;
const STATES = ["CONNECTING", "OPEN", "CLOSED"];

/* Where we are. */

const choices = targets();
let target = choices[0];

byId("origin").textContent = location.origin;
byId("role").textContent = isForeign ? "foreign" : isListed ? "on the allow-list" : "the stream’s own";
byId("role").dataset.tone = isForeign ? "bad" : "good";
byId("targets").append(...choices.map((choice, i) => {
  const radio = element("input", { type: "radio", name: "target", value: choice.key, id: `target-${choice.key}` });
  radio.checked = i === 0;
  radio.addEventListener("change", () => { target = choice; });
  return element("label", { class: "choice" }, radio,
    element("span", {}, element("b", {}, choice.title), element("code", {}, `${choice.origin}/events`), element("small", {}, choice.note)));
}));
const elsewhere = isForeign ? `${streamOrigin}/` : foreignPage;
if (elsewhere) {
  const link = byId("foreign");
  link.href = elsewhere;
  link.textContent = isForeign ? "Back to the stream’s own origin ↗" : "This page from a foreign origin ↗";
  link.hidden = false;
}
byId("publish-card").hidden = isForeign;
byId("curl").textContent = `curl -N -H 'Accept: text/event-stream' ${streamOrigin}/events`;

/* The stream. */

const wanted = () => streamUrl(target.origin, byId("topic").value);
const names = () => byId("names").value.split(",").map((name) => name.trim()).filter(Boolean);
let received = 0;
let opened = null;

const stream = new Stream(({ change, event }) => {
  if (event) return showEvent(event);
  showState();
  if (change === "connecting") say(explain.connecting(opened.target));
  if (change === "open") {
    say(explain.open(opened.target));
    if (stream.reconnects === 0) inspect();
  }
  if (change === "lost") say(explain.lost(stream.lastEventId));
  if (change === "closed") say(explain.closed());
  if (change === "failed") {
    const failed = opened;
    say({ tone: "bad", title: "The browser gave up.", text: "Finding out why …" });
    explain.failed(failed.target, failed.url, failed.credentials).then((said) => {
      if (opened === failed && stream.readyState === EventSource.CLOSED) say(said);
    });
  }
});

byId("stream-form").addEventListener("submit", (submit) => {
  submit.preventDefault();
  opened = { target, url: wanted(), credentials: byId("credentials").checked };
  stream.open(opened.url, opened.credentials, names());
});
byId("close").addEventListener("click", () => stream.close());
byId("names").addEventListener("change", () => names().forEach((name) => stream.listenFor(name)));

function showState() {
  const state = stream.readyState;
  const output = byId("ready-state");
  output.dataset.state = state ?? "";
  output.textContent = state === null ? "none" : `${state} ${STATES[state]}`;
  byId("states").dataset.state = state ?? "";
  byId("close").disabled = state === null || state === EventSource.CLOSED;
  byId("reconnects").textContent = stream.reconnects;
  byId("last-event-id").textContent = stream.lastEventId || "none";
}

function say({ tone, title, text }) {
  const box = byId("explanation");
  box.dataset.tone = tone;
  box.replaceChildren(element("b", {}, title), " ", text);
}

/* Events. */

function showEvent({ name, id, data }) {
  received += 1;
  byId("event-count").textContent = received;
  byId("last-event-id").textContent = id || "none";
  const list = byId("events");
  list.prepend(element("li", { "data-event": name, "data-id": id },
    element("time", {}, new Date().toLocaleTimeString("en-GB")),
    element("span", { class: "name" }, name), element("span", { class: "data" }, data), element("span", { class: "id", title: id }, id)));
  while (list.children.length > SHOWN_EVENTS) list.lastChild.remove();
}

byId("clear").addEventListener("click", () => {
  received = 0;
  byId("event-count").textContent = 0;
  byId("events").replaceChildren();
});
byId("show-ticks").addEventListener("change", ({ target: { checked } }) => {
  byId("events").classList.toggle("without-ticks", !checked);
});

/* The headers' verdict. */

async function inspect() {
  const crossOrigin = target.origin !== location.origin;
  const credentials = byId("credentials").checked;
  const summary = byId("headers-summary");
  byId("headers").hidden = true;
  summary.dataset.tone = "wait";
  try {
    const reply = await ask(wanted(), credentials);
    const rows = judge(reply, crossOrigin, credentials);
    const faults = rows.filter(({ verdict }) => verdict === "wrong" || verdict === "missing");
    const right = reply.status === 200 && faults.length === 0;
    summary.dataset.tone = right ? "good" : "bad";
    summary.textContent = reply.status !== 200
      ? `${reply.status}: refused, in a way that this page may read.`
      : right ? `${reply.status}: every header is as it should be${crossOrigin ? ", as far as another origin may see" : ""}.`
        : `${reply.status}, with faults: ${faults.map(({ name }) => name).join(", ")}.`;
    byId("header-rows").replaceChildren(...(reply.status === 200 ? rows : []).map(({ name, verdict, value, meaning }) =>
      element("tr", { "data-header": name, "data-verdict": verdict },
        element("th", { scope: "row" }, name),
        element("td", {}, element("span", { class: "chip" }, verdict)),
        element("td", {}, ...(value === null ? [] : [element("code", {}, value)]), element("small", {}, meaning)))));
    byId("headers").hidden = reply.status !== 200;
  } catch {
    summary.dataset.tone = "bad";
    summary.textContent = "The browser keeps the reply to itself: not the status, not one header is shown to this page. So it looks when CORS forbids.";
  }
}
byId("inspect").addEventListener("click", inspect);

/* Publishing. */

byId("publish-form").addEventListener("submit", async (submit) => {
  submit.preventDefault();
  const topic = byId("topic").value;
  const event = byId("publish-event").value.trim();
  const body = { data: byId("publish-data").value };
  if (event) {
    body.event = event;
    stream.listenFor(event);
  }
  const result = byId("publish-result");
  try {
    const reply = await fetch(`/publish?${new URLSearchParams({ topic })}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
    const said = await reply.json();
    result.dataset.tone = reply.ok ? "good" : "bad";
    result.textContent = reply.ok ? `Published to “${topic}”${said.id ? ` as ${said.id}` : ""}.` : `${reply.status} ${said.error}`;
  } catch {
    result.dataset.tone = "bad";
    result.textContent = "No answer.";
  }
});

/* Counts. */

const history = new History();

function showCounts(families) {
  const state = byId("metrics-state");
  state.textContent = families ? "live" : "no answer";
  state.dataset.tone = families ? "good" : "bad";
  if (!families) return;
  const sample = {
    active: total(families, "sse_connections_active"),
    opened: total(families, "sse_connections_opened_total"),
    closed: total(families, "sse_connections_closed_total"),
    rejected: total(families, "sse_connections_rejected_total"),
    published: total(families, "sse_events_published_total"),
  };
  for (const [key, value] of Object.entries(sample)) {
    byId(key).textContent = value === null ? "–" : value.toLocaleString("en");
  }
  history.push(sample);
  byId("active-top").textContent = `0 – ${area(byId("active-chart"), history.of("active"))}`;
  mirrored(byId("rates-chart"), { name: "opened", values: history.rises("opened") }, [
    { name: "closed", values: history.rises("closed") },
    { name: "rejected", values: history.rises("rejected") },
  ]);
  bars(byId("closed-bars"), by(families, "sse_connections_closed_total", "reason"), "none yet");
  bars(byId("rejected-bars"), by(families, "sse_connections_rejected_total", "reason"), "none yet");
  bars(byId("origin-bars"), by(families, "sse_rejected_origins_total", "origin"), "none yet");
  bars(byId("immediate-bars"), by(families, "sse_connections_immediate_close_total", "class"), "none yet");
}

if (metricsElsewhere) {
  byId("metrics-link").href = metricsElsewhere;
  byId("metrics-link").firstChild.textContent = metricsElsewhere;
  byId("metrics-state").textContent = "on a listener of their own, which no page may read";
} else {
  poll(showCounts);
}

/* Light or dark. */

byId("theme").addEventListener("click", () => {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
});

showState();
say(explain.idle());
