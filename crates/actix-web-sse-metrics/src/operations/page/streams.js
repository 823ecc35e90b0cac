// The table of open streams, and what it is filtered by.

import { byId, cell, element, keyed, number, delay, say, since, span, tone, words } from "./element.js";

/** What the table shows: values of `route`, `origin` and `user`. */
export const filters = new Map();

/** What to ask the server for. */
export function query() {
  const choice = new URLSearchParams([...filters, ["sort", byId("sort").value]]);
  return `streams?${choice}`;
}

/** Shows the answer. `act` has what the buttons do. */
export function showStreams({ matching, streams }, overview, act) {
  keyed(byId("rows"), streams, (stream) => stream.connection, () => row(act), update);
  document.body.classList.toggle("read-only", !overview.canEnd);
  const none = byId("no-rows");
  none.hidden = streams.length > 0;
  say(none, filters.size > 0 ? "No open stream matches." : "No stream is open.");
  const more = matching > streams.length ? `${number(streams.length)} of ${number(matching)} streams are shown.` : "";
  const beyond = overview.notListed > 0
    ? ` ${number(overview.notListed)} more are open and not listed: the list has the first ${number(overview.mostListed)}, from when this page was mounted.`
    : "";
  say(byId("shown"), (more + beyond).trim());
}

function row(act) {
  const who = element("b");
  const open = element("button", { type: "button", class: "link" }, who, element("small"));
  open.addEventListener("click", () => act.open(node.stream.connection));
  const end = element("button", { type: "button", class: "small" }, "End");
  end.addEventListener("click", () => act.end(node.stream));
  const node = element(
    "tr",
    { role: "row" },
    cell("Stream", { class: "who" }, open),
    cell("Route", {}, element("code"), element("small")),
    cell("Origin", {}, element("code"), element("span", { class: "chip" })),
    cell("Age", { class: "number" }),
    cell("Events", { class: "number" }),
    cell("Behind", { class: "number" }),
    cell("Last write", { class: "number" }),
    cell("", { class: "act" }, end),
  );
  return node;
}

function update(node, stream) {
  node.stream = stream;
  const [who, route, origin, age, events, behind, last, act] = node.children;
  const name = stream.user ?? "anonymous";
  const [open] = who.children;
  say(open.children[0], name);
  say(open.children[1], `${stream.address ?? "no address"}${stream.probe ? ", a probe" : ""}`);
  open.title = `Stream ${stream.connection}`;
  say(route.children[0], stream.route);
  say(route.children[1], topics(stream.topics));
  say(origin.children[0], stream.origin);
  const verdict = origin.children[1];
  verdict.hidden = stream.cors === null || stream.cors === "no_origin";
  verdict.dataset.tone = tone(stream.cors);
  say(verdict, words(stream.cors));
  say(age, span(stream.ageSeconds));
  say(events, number(stream.events));
  const late = stream.behindEvents > 0;
  behind.dataset.tone = late ? "wait" : "info";
  say(behind, late ? `${number(stream.behindEvents)}, ${delay(stream.behindSeconds)}` : number(stream.behindEvents));
  say(last, stream.lastWriteSeconds === null ? "–" : since(stream.lastWriteSeconds));
  const [end] = act.children;
  end.setAttribute("aria-label", `End the stream of ${name}, ${stream.address ?? "no address"}, ${stream.route}`);
}

/** The topics in one line. */
export function topics(names) {
  if (names === null) return "";
  if (names.length === 0) return "events of its own";
  const some = names.slice(0, 3).join(", ");
  return names.length > 3 ? `${some} and ${names.length - 3} more` : some;
}

/** Shows the filters as buttons that remove them. */
export function showFilters(canEnd, changed, endUser) {
  const box = byId("filters");
  box.hidden = filters.size === 0;
  const chips = [...filters].map(([kind, value]) => {
    const remove = element("button", { type: "button", class: "filter", "data-kind": kind }, `${kind}: `, element("b", {}, value), " ✕");
    remove.setAttribute("aria-label", `Show streams of every ${kind} again, not only ${value}`);
    remove.addEventListener("click", () => {
      filters.delete(kind);
      changed();
      byId("streams-title").focus();
    });
    return remove;
  });
  const user = filters.get("user");
  if (user !== undefined && canEnd) {
    const end = element("button", { type: "button", class: "danger small", id: "end-user" }, "End all streams of this user");
    end.addEventListener("click", () => endUser(user));
    chips.push(end);
  }
  box.replaceChildren(...chips);
}
