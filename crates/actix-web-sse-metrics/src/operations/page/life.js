// One stream, from its request to its end.

import { get } from "./api.js";
import { byId, bytes, delay, element, keyed, number, say, since, span, words } from "./element.js";
import { topics } from "./streams.js";

let shown = null;

/** The stream that is shown now, if one is. */
export const shownStream = () => shown;

/** Opens the dialog for this stream. */
export async function openLife(connection) {
  clear();
  shown = { connection };
  await refreshLife();
  if (shown?.connection === connection && !byId("life").open) byId("life").showModal();
}

export function closeLife() {
  byId("life").close();
  clear();
}

function clear() {
  shown = null;
  say(byId("life-title"), "Stream");
  for (const id of ["life-figures", "life-facts"]) byId(id).replaceChildren();
  for (const id of ["life-end", "life-end-user"]) byId(id).hidden = true;
}

/** Reads and shows it again, if one is shown. */
export async function refreshLife(canEnd = !document.body.classList.contains("read-only")) {
  if (shown === null) return;
  const { connection } = shown;
  const life = await get(`streams/${connection}`);
  // Another one may have been chosen meanwhile.
  if (shown?.connection !== connection) return;
  if (life.error !== undefined) {
    say(byId("life-state"), "gone");
    for (const id of ["life-end", "life-end-user"]) byId(id).hidden = true;
    return;
  }
  shown = life;
  const { end } = life;
  say(byId("life-title"), `Stream of ${life.user ?? "an anonymous client"}`);
  const state = byId("life-state");
  state.dataset.tone = end === null ? "good" : "info";
  say(state, end === null ? "open" : `ended: ${words(end.reason)}`);
  figures(end ?? life, end === null);
  facts(life);
  byId("life-end").hidden = !canEnd || end !== null;
  byId("life-end-user").hidden = !canEnd || life.user === null;
}

function figures(counts, isOpen) {
  const all = [
    [isOpen ? "age" : "lived", span(isOpen ? counts.ageSeconds : counts.seconds)],
    ["events", number(counts.events)],
    ["heartbeats", number(counts.heartbeats)],
    ["sent", bytes(counts.bytes)],
  ];
  if (isOpen) {
    const late = counts.behindEvents > 0 ? `${number(counts.behindEvents)}, ${delay(counts.behindSeconds)}` : number(counts.behindEvents);
    all.push(["behind", late]);
  }
  const make = ([name]) => element("div", { class: "figure" }, element("b"), element("span", {}, name));
  keyed(byId("life-figures"), all, ([name]) => name, make, (node, [, value]) => say(node.children[0], value));
}

function facts(life) {
  const { end } = life;
  const time = (at) => (at === null ? "–" : new Date(at).toLocaleString());
  const all = [
    ["Connection", life.connection],
    ["Route", life.route],
    ["Topics", end === null ? topics(life.topics) || "–" : "–"],
    ["Origin", origin(life)],
    ["CORS verdict", words(life.cors)],
    ["Address", life.address ?? "–"],
    ["Signed in by", words(life.authMethod)],
    ["Credentials end", time(life.expires)],
    ["Opened", time(life.opened)],
    ["Resumed", words(life.resume)],
    ["Last write", last(life)],
    ["Skipped events", number(life.skippedEvents)],
    ["Protocol", `HTTP/${life.httpVersion}, ${words(life.lane)}`],
    ["Client", life.userAgent ?? "–"],
    ["End", end === null ? (life.ending === null ? "not yet" : `about to end: ${words(life.ending)}`) : `${words(end.reason)}, ${time(end.at)}`],
  ];
  const make = ([name]) => element("div", {}, element("dt", {}, name), element("dd"));
  keyed(byId("life-facts"), all, ([name]) => name, make, (node, [, value]) => say(node.children[1], value));
}

/** The origin, and by which entry of the list it is allowed if that is another text. */
function origin({ origin: sent, originClass, originEntry }) {
  if (originEntry === null) return sent === originClass ? words(sent) : `${sent} (${words(originClass)})`;
  return originEntry === sent ? `${sent} (on the allow-list)` : `${sent} (allowed by ${originEntry})`;
}

function last({ end, lastWriteSeconds }) {
  if (end !== null) return end.lastWrite === null ? "none" : new Date(end.lastWrite).toLocaleString();
  return lastWriteSeconds === null ? "none yet" : since(lastWriteSeconds);
}
