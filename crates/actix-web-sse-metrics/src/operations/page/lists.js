// What is shown beside the streams: groups, refusals, origins, streams that ended.

import { ago, byId, cell, element, keyed, number, say, since, span, tone, words } from "./element.js";
import { filters } from "./streams.js";

const LABELS = {
  streams: ["open stream", "open streams"],
  users: ["user", "users"],
  addresses: ["address", "addresses"],
  topics: ["topic", "topics"],
  refused: ["refused request", "refused requests"],
};

const SVG = "http://www.w3.org/2000/svg";

/** Shows everything of the overview. `act` has what the buttons do. */
export function showLists(overview, act) {
  showFigures(overview);
  for (const kind of ["route", "origin", "user"]) showGroup(kind, overview, act);
  showRefusals(overview);
  showOrigins(overview);
  showEnded(overview, act);
}

function showFigures({ node, version, uptimeSeconds, streams, topics, addresses, groups, refusals }) {
  say(byId("node-line"), `Node ${node}, actix-web-sse ${version}, up for ${span(uptimeSeconds)}`);
  say(byId("node-name"), node);
  document.title = `${number(streams)} event streams on ${node}`;
  const figures = { streams, topics, addresses, users: groups.user.distinct, refused: refusals.total };
  for (const [name, value] of Object.entries(figures)) {
    say(byId(`figure-${name}`), number(value));
    say(byId(`label-${name}`), LABELS[name][value === 1 ? 0 : 1]);
  }
}

function showGroup(kind, overview, act) {
  const { distinct, top } = overview.groups[kind];
  const most = Math.max(1, ...top.map((entry) => entry.streams));
  const list = byId(`by-${kind}`);
  const rows = top.length > 0 ? top.slice(0, 8) : [{ value: null, streams: 0 }];
  const make = ({ value }) => {
    if (value === null) return element("li", { class: "none" }, kind === "user" ? "No user is signed in." : "None yet.");
    const bar = document.createElementNS(SVG, "svg");
    bar.setAttribute("viewBox", "0 0 100 4");
    bar.setAttribute("preserveAspectRatio", "none");
    bar.setAttribute("aria-hidden", "true");
    const rect = document.createElementNS(SVG, "rect");
    rect.setAttribute("height", "4");
    bar.append(rect);
    const button = element("button", { type: "button" }, element("span", { class: "label" }, value), element("b"), bar);
    button.addEventListener("click", () => act.filter(kind, value));
    return element("li", {}, button);
  };
  keyed(list, rows, (entry) => `${entry.value === null ? "none" : "value "}${entry.value}`, make, (node, { value, streams }) => {
    if (value === null) return;
    const [button] = node.children;
    button.setAttribute("aria-pressed", String(filters.get(kind) === value));
    button.title = value;
    say(button.children[1], number(streams));
    button.querySelector("rect").setAttribute("width", String((100 * streams) / most));
  });
  const title = { route: "By route", origin: "By origin", user: "By user" }[kind];
  say(byId(`by-${kind}-title`), distinct > rows.length ? `${title}: ${rows.length} of ${number(distinct)}` : title);
}

function showRefusals({ refusals, time }) {
  byId("no-refusals").hidden = refusals.total > 0;
  byId("latest-refusals").hidden = refusals.total === 0;
  keyed(
    byId("reasons"),
    refusals.reasons,
    ({ reason }) => reason,
    ({ reason, remedy }) =>
      element("li", {}, element("b", { class: "count" }), element("code", {}, reason), element("span", {}, `Remedy: ${remedy}.`)),
    (node, { count }) => say(node.children[0], number(count)),
  );
  keyed(
    byId("refusals"),
    refusals.latest.slice(0, 50),
    (refusal) => refusal.number,
    (refusal) =>
      element(
        "tr",
        { role: "row" },
        cell("When"),
        cell("Reason", {}, element("code", {}, refusal.reason), element("small", {}, `${refusal.status}, ${words(refusal.mode)}`)),
        cell("Route", {}, element("code", {}, refusal.route)),
        cell("Origin", {}, element("code", {}, refusal.origin)),
        cell("Address", {}, refusal.address ?? "–"),
        cell("Remedy", {}, refusal.remedy),
      ),
    (node, { at }) => say(node.children[0], since(ago(at, time))),
  );
}

function showOrigins({ origins, time }) {
  byId("no-origins").hidden = origins.length > 0;
  keyed(
    byId("origins"),
    origins.slice(0, 20),
    ({ origin }) => origin,
    ({ origin }) =>
      element(
        "tr",
        { role: "row" },
        cell("Origin", {}, element("code", {}, origin)),
        cell("Verdict", {}, element("span", { class: "chip" }), element("small")),
        ...["Opened", "Refused", "Last seen"].map((label) => cell(label, { class: "number" })),
      ),
    (node, seen) => {
      const [, verdict, opened, refused, last] = node.children;
      verdict.children[0].dataset.tone = tone(seen.verdict);
      say(verdict.children[0], words(seen.verdict));
      say(verdict.children[1], seen.reason === null ? "" : words(seen.reason));
      say(opened, number(seen.opened));
      say(refused, number(seen.refused));
      say(last, since(ago(seen.last, time)));
    },
  );
}

function showEnded({ ended, time }, act) {
  byId("no-ended").hidden = ended.length > 0;
  keyed(
    byId("ended"),
    ended.slice(0, 10),
    ({ connection }) => connection,
    (stream) => {
      const open = element(
        "button",
        { type: "button", class: "link" },
        element("b", {}, stream.user ?? "anonymous"),
        element("small", {}, `${stream.address ?? "no address"}, ${stream.route}`),
      );
      open.addEventListener("click", () => act.open(stream.connection));
      return element(
        "tr",
        { role: "row" },
        cell("Stream", { class: "who" }, open),
        cell("Reason", {}, element("code", {}, stream.reason)),
        cell("Lived", { class: "number" }, span(stream.seconds)),
        cell("Events", { class: "number" }, number(stream.events)),
        cell("Ended", { class: "number" }),
      );
    },
    (node, { at }) => say(node.children[4], since(ago(at, time))),
  );
}
