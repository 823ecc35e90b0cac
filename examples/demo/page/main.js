// The page: what the buttons do, and what is shown.

import { showCounts } from "./counts.js";
import { byId, element } from "./element.js";
import * as explain from "./explain.js";
import { ask, judge } from "./headers.js";
import { foreignPage, isForeign, isListed, offers, streamOrigin, streamUrl, targets } from "./place.js";
import { showRefusals } from "./refusals.js";
import * as signIn from "./sign-in.js";
import { Stream } from "./stream.js";
import { showTour } from "./tour.js";

const SHOWN_EVENTS = 200;
const STATES = ["CONNECTING", "OPEN", "CLOSED"];

/* Where we are. */

const choices = targets();
let target = choices[0];
let proof = "none";

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
byId("proofs").append(...signIn.PROOFS.map(({ key, title }) => {
  const radio = element("input", { type: "radio", name: "proof", value: key, id: `proof-${key}` });
  radio.checked = key === proof;
  radio.addEventListener("change", () => choose(key));
  return element("label", {}, radio, title);
}));
byId("proof-row").hidden = byId("sign-in-card").hidden = !offers.has("sign-in") || isForeign;
byId("refusals-card").hidden = isForeign;
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
/* The latest event was auth_expired. */
let expired = false;

const stream = new Stream(({ change, status, cause, event }) => {
  if (event) {
    showEvent(event);
    expired = event.name === "auth_expired";
    if (expired) say(explain.expired());
    return;
  }
  showState();
  if (change === "open" || change === "connecting") expired = false;
  if (change === "connecting") say(explain.connecting(opened));
  if (change === "open") {
    say(explain.open(opened));
    if (stream.reconnects === 0) inspect();
  }
  if (change === "lost" && !expired) say(explain.lost(opened, stream.lastEventId));
  if (change === "closed") say(explain.closed());
  if (change === "failed") {
    const failed = opened;
    say({ tone: "bad", title: "The browser gave up.", text: "Finding out why …" });
    explain.failed(failed, status, cause).then((said) => {
      if (opened === failed && stream.readyState === EventSource.CLOSED) say(said);
    });
  }
});

byId("stream-form").addEventListener("submit", (submit) => {
  submit.preventDefault();
  stream.close();
  opened = { target, url: wanted(), proof, credentials: byId("credentials").checked };
  stream.follow(signIn.open(opened.url, proof, opened.credentials, byId("report").checked), names());
});
byId("close").addEventListener("click", () => stream.close());
byId("names").addEventListener("change", () => names().forEach((name) => stream.listenFor(name)));

/** Chooses how to say who is asking. */
function choose(key) {
  proof = key;
  byId(`proof-${key}`).checked = true;
  // A cookie travels with credentials, and with nothing else.
  byId("credentials").disabled = key !== "none";
  byId("credentials").checked = key === "none" || key === "cookie";
}

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
    // A ticket is not spent on this: the token that it was given for says the same.
    const named = proof === "bearer" || proof === "ticket";
    const reply = await ask(wanted(), credentials, named ? signIn.authorization() : {});
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
      headers: { "Content-Type": "application/json", ...signIn.authorization() },
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

/* Signing in, and being refused. */

signIn.showSignIn((yes) => choose(yes ? "cookie" : "none"));
showRefusals(offers, () => byId("topic").value, signIn.sign);

/* Incidents on purpose. */

if (offers.has("tour") && !isForeign) showTour();

/* Light or dark. */

byId("theme").addEventListener("click", () => {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
});

showState();
say(explain.idle());
showCounts();
