// The live counts: figures, charts and lists, drawn from each look at /metrics.

import { History, area, bars, mirrored } from "./charts.js";
import { byId } from "./element.js";
import { by, poll, total } from "./metrics.js";
import { metricsElsewhere } from "./place.js";

const FIGURES = {
  active: "sse_connections_active",
  opened: "sse_connections_opened_total",
  closed: "sse_connections_closed_total",
  rejected: "sse_connections_rejected_total",
  published: "sse_events_published_total",
};

const LISTS = [
  ["closed-bars", "sse_connections_closed_total", "reason"],
  ["rejected-bars", "sse_connections_rejected_total", "reason"],
  ["origin-bars", "sse_rejected_origins_total", "origin"],
  ["immediate-bars", "sse_connections_immediate_close_total", "class"],
  ["report-bars", "sse_client_reports_total", "diagnosis"],
  ["resume-bars", "sse_resumes_total", "result"],
];

/** Draws the counts each second, or says where they are. */
export function showCounts() {
  const state = byId("metrics-state");
  if (metricsElsewhere) {
    const link = byId("metrics-link");
    link.href = metricsElsewhere;
    link.firstChild.textContent = metricsElsewhere;
    state.textContent = "on a listener of their own, which no page may read";
    return;
  }
  const history = new History();
  poll((families) => {
    state.textContent = families ? "live" : "no answer";
    state.dataset.tone = families ? "good" : "bad";
    if (families) draw(families, history);
  });
}

function draw(families, history) {
  const sample = {};
  for (const [key, name] of Object.entries(FIGURES)) {
    sample[key] = total(families, name);
    byId(key).textContent = sample[key] === null ? "–" : sample[key].toLocaleString("en");
  }
  history.push(sample);
  byId("active-top").textContent = `0 – ${area(byId("active-chart"), history.of("active"))}`;
  mirrored(byId("rates-chart"), { name: "opened", values: history.rises("opened") }, [
    { name: "closed", values: history.rises("closed") },
    { name: "rejected", values: history.rises("rejected") },
  ]);
  for (const [id, name, label] of LISTS) bars(byId(id), by(families, name, label), "none yet");
}
