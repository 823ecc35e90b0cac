// The tour: runs an incident, and shows browser, log, metrics and alert side by side.

import { ALERTS } from "./alerts.js";
import { byId, element } from "./element.js";
import { INCIDENTS, until } from "./incidents.js";
import { look, sum } from "./metrics.js";
import { metricsElsewhere } from "./place.js";

/** What a line of the log says first; the whole line can be unfolded. */
const SHOWN = ["reason", "status", "mode", "hint", "origin", "corsAllowed", "authMethod", "route", "durationMs", "eventsSent", "immediateClose", "lastEventId"];
/** What goes without saying. */
const PLAIN = { authMethod: "none", lastEventId: false };
/** Lines that have these in common are one entry. */
const ALIKE = ["event", "reason", "mode", "lastEventId"];

let key = null;
let running = false;
/* What the incidents of this page counted, and when. */
const counted = [];

/** Fills the card with a button for each incident. */
export function showTour() {
  byId("tour").hidden = false;
  byId("incidents").append(...INCIDENTS.map((incident, i) => {
    const cannot = incident.needs?.() ?? null;
    const button = element("button", { type: "button", id: `incident-${incident.key}`, "aria-pressed": "false" },
      element("span", { class: "number", "aria-hidden": "true" }, i + 1), incident.title);
    if (cannot) {
      button.disabled = true;
      return element("div", {}, button, element("small", {}, cannot));
    }
    button.addEventListener("click", () => run(incident));
    return button;
  }));
}

async function run(incident) {
  // The buttons stay in the order of keys meanwhile, and do nothing.
  if (running) return;
  running = true;
  begin(incident);
  const done = await attempt(incident).catch((error) => {
    see(`This did not go as it should: ${error.message}.`, "bad");
    return "failed";
  });
  running = false;
  for (const button of byId("incidents").querySelectorAll("button")) button.removeAttribute("aria-disabled");
  byId("tour-result").dataset.state = done;
  byId("tour-result").removeAttribute("aria-busy");
  byId("tour-state").textContent = `${incident.title}: ${done === "done" ? "all four parts are shown below the buttons" : "this did not go as it should"}.`;
}

function begin({ key: chosen, title, story, remedy }) {
  for (const button of byId("incidents").querySelectorAll("button")) {
    button.setAttribute("aria-pressed", button.id === `incident-${chosen}`);
    button.setAttribute("aria-disabled", "true");
  }
  const result = byId("tour-result");
  result.hidden = false;
  result.dataset.incident = chosen;
  result.dataset.state = "running";
  result.setAttribute("aria-busy", "true");
  byId("tour-name").textContent = title;
  byId("tour-story").textContent = story;
  byId("tour-remedy").replaceChildren(element("b", {}, "What to do: "), remedy);
  byId("tour-state").textContent = `${title}: running.`;
  byId("part-browser").replaceChildren();
  for (const part of ["log", "metric", "alert"]) byId(`part-${part}`).replaceChildren(element("p", { class: "none" }, "waiting …"));
}

async function attempt(incident) {
  const started = performance.now();
  const first = await session();
  const before = metricsElsewhere ? null : await look();
  let crowded = null;
  const finish = await incident.run({
    see: (text, tone) => see(text, tone, performance.now() - started),
    url: streamUrl,
    topic: `tour-${key.slice(0, 12)}`,
    cut: () => post("/tour/cut"),
    moment: async () => { crowded = await look(); },
  });
  try {
    const records = await until(async () => {
      const found = await linesSince(first);
      return incident.enough(found.map(({ record }) => record)) && found;
    }, 20_000, "the log has not said what it should").catch(() => linesSince(first));
    showLog(records);
    const after = await showMetrics(incident.metrics(), before);
    showAlert(incident, before, after, crowded);
    const whole = incident.enough(records.map(({ record }) => record));
    return whole ? "done" : "failed";
  } finally {
    finish?.();
  }
}

/* The session. */

/** Begins a session, or goes on with the one there is; how many lines it has already. */
async function session() {
  if (key) {
    const kept = await lines();
    if (kept.ok) return (await kept.json()).seen;
  }
  key = (await post("/tour/session")).tour;
  return 0;
}

/** The reply with the session's lines; 404 if others have taken its place. */
const lines = () => fetch(`/tour/lines?tour=${key}`, { cache: "no-store" });

/** The lines that came after so many, read. */
async function linesSince(first) {
  const reply = await lines();
  if (!reply.ok) throw new Error(`the log cannot be read: ${reply.status}`);
  const { seen, lines: kept } = await reply.json();
  const fresh = Math.min(seen - first, kept.length);
  return kept.slice(kept.length - fresh).map((line) => ({ line, record: JSON.parse(line) }));
}

async function post(path) {
  const reply = await fetch(key ? `${path}?tour=${key}` : path, { method: "POST" });
  if (!reply.ok) throw new Error(`${path} said ${reply.status}`);
  return reply.json();
}

function streamUrl(path, origin) {
  const url = new URL(path, origin);
  url.searchParams.set("tour", key);
  return url;
}

/* The four parts. */

function see(text, tone = "info", ms = null) {
  const at = ms === null ? "" : `${(ms / 1000).toFixed(1)} s`;
  byId("part-browser").append(element("li", { "data-tone": tone }, element("time", {}, at), element("span", {}, text)));
}

function showLog(records) {
  byId("part-log").replaceChildren(records.length === 0
    ? element("p", { class: "none" }, "no line")
    : element("ol", { class: "records" }, ...alike(records).map((lines) => {
      const [{ record }] = lines;
      const says = (name) => (record[name] ?? null) !== null && record[name] !== PLAIN[name] && (name !== "corsAllowed" || record.origin !== null);
      const times = lines.length > 1 ? ` ${lines.length} times` : "";
      return element("li", { "data-event": record.event },
        element("b", {}, record.event), times,
        element("dl", {}, ...SHOWN.filter(says).map((name) => element("div", {}, element("dt", {}, name), element("dd", {}, String(record[name]))))),
        element("details", {}, element("summary", {}, times ? "the whole lines" : "the whole line"), ...lines.map(({ line }) => element("code", {}, line))));
    })));
}

/** Lines in their order, those that are alike together, up to the next end of a stream. */
function alike(records) {
  const groups = [];
  for (const one of records) {
    const since = groups.findLastIndex(([{ record }]) => record.event === "sse_close");
    const same = groups.slice(Math.max(since, 0)).find(([{ record }]) => ALIKE.every((name) => record[name] === one.record[name]));
    if (same) same.push(one);
    else groups.push([one]);
  }
  return groups;
}

/** Shows each series before and after, once the first has changed; the metrics after. */
async function showMetrics(series, before) {
  const part = byId("part-metric");
  if (!before) {
    const where = metricsElsewhere
      ? element("a", { href: metricsElsewhere }, metricsElsewhere)
      : "no answer";
    part.replaceChildren(element("p", {}, "The metrics are on a listener of their own, which no page may read: ", where));
    return null;
  }
  const [[name, labels]] = series;
  let after = await look();
  await until(async () => {
    after = await look();
    return (sum(after, name, labels) ?? 0) > (sum(before, name, labels) ?? 0);
  }, 5000, "no change", 300).catch(() => null);
  part.replaceChildren(element("ul", { class: "series" }, ...series.map(([metric, wanted]) => {
    const [from, to] = [sum(before, metric, wanted) ?? 0, sum(after, metric, wanted) ?? 0];
    const named = Object.entries(wanted).map(([label, value]) => `${label}="${value}"`).join(", ");
    return element("li", { "data-metric": metric, "data-from": from, "data-to": to },
      element("code", {}, metric), ...(named ? [element("code", { class: "labels" }, `{${named}}`)] : []),
      element("span", { class: "change" }, element("span", { class: "spoken" }, "from "), from.toLocaleString("en"),
        element("span", { "aria-hidden": "true" }, " → "), element("span", { class: "spoken" }, " to "), element("b", {}, to.toLocaleString("en"))));
  })));
  return after;
}

function showAlert(incident, before, after, crowded) {
  const { name, words, judge } = ALERTS[incident.key];
  const parts = [
    element("p", {}, element("b", { class: "alert-name" }, name)),
    element("p", {}, words),
  ];
  if (after) {
    const own = {};
    for (const [metric, labels, as] of incident.metrics()) {
      if (as) own[as] = (sum(after, metric, labels) ?? 0) - (sum(before, metric, labels) ?? 0);
    }
    counted.push({ at: performance.now(), own });
    const { met, why } = judge(since, crowded ?? after);
    parts.push(element("p", { class: "verdict", "data-tone": met ? "bad" : "good", "data-met": met },
      element("span", { class: "chip" }, met ? "condition met" : "condition not met"), ` ${why}.`));
  } else {
    parts.push(element("p", { class: "verdict" }, "Whether its condition holds stands in the metrics."));
  }
  parts.push(element("p", {}, element("a", { href: `/tour/runbook#${name}`, target: "_blank", rel: "noopener" }, `Runbook: ${name} ↗`)));
  byId("part-alert").replaceChildren(...parts);
}

/** The sums of what this page's incidents counted within so many milliseconds. */
function since(ms) {
  const sums = {};
  for (const { at, own } of counted) {
    if (performance.now() - at > ms) continue;
    for (const [as, value] of Object.entries(own)) sums[as] = (sums[as] ?? 0) + value;
  }
  return sums;
}
