// What a dashboard asks of Prometheus, asked as Grafana would.

// Grafana's own: the interval of the samples in the picture, and the range of a rate that never
// misses one.
function intervals(from, to, points, scrape) {
  const step = Math.max(scrape, Math.ceil((to - from) / points));
  return { step, rate: Math.max(step + scrape, 4 * scrape) };
}

// All values of all variables are chosen, but for the namespace if there is one.
function expanded(text, rate, namespace) {
  return text
    .replaceAll("$__rate_interval", `${rate}s`)
    .replaceAll('"$namespace"', `"${namespace ?? ".*"}"`)
    .replaceAll(/"\$(job|instance)"/g, '".+"')
    .replaceAll(/"\$(cluster|route|origin)"/g, '".*"');
}

// A list of alerts asks for nothing itself: Grafana knows what it lists.
const FIRING = [
  {
    refId: "A",
    expr: 'ALERTS{alertname=~"SSE.+",alertstate="firing",namespace=~"$namespace"}',
    instant: true,
    legendFormat: "__auto",
  },
];

async function ask(prometheus, call, parameters) {
  const answer = await fetch(`${prometheus}/api/v1/${call}?${new URLSearchParams(parameters)}`);
  const { status, error, data } = await answer.json();
  if (status !== "success") throw new Error(`${parameters.query}: ${error}`);
  return data.result;
}

// Collapsed rows are opened, as one would.
const opened = (dashboard) => ({
  ...dashboard,
  panels: dashboard.panels.flatMap(({ panels = [], ...panel }) => [panel, ...panels]),
});

// What stands above the second heading.
function firstScreen(dashboard) {
  const [, second] = dashboard.panels.filter(({ type }) => type === "row");
  return { ...dashboard, panels: dashboard.panels.filter(({ gridPos }) => gridPos.y < second.gridPos.y) };
}

/**
 * Everything that a dashboard shows, or of a namespace what its first screen does: for each panel its queries and what they
 * found.
 */
export async function look(closed, { prometheus, from, to, scrape, namespace }) {
  const dashboard = namespace ? firstScreen(closed) : opened(closed);
  const { step, rate } = intervals(from, to, 560, scrape);
  const panels = {};
  for (const panel of dashboard.panels.filter(({ type }) => type !== "row")) {
    panels[panel.id] = await Promise.all(
      (panel.targets ?? (panel.type === "alertlist" ? FIRING : [])).map(async (target) => {
        const query = expanded(target.expr, rate, namespace);
        const result = target.instant
          ? await ask(prometheus, "query", { query, time: to })
          : await ask(prometheus, "query_range", { query, start: from, end: to, step });
        return { target: { ...target, expr: query }, result };
      }),
    );
    const empty = panels[panel.id].every(({ result }) => result.length === 0);
    if (empty && panel.targets && !namespace) throw new Error(`${dashboard.title}: nothing to show in "${panel.title}"`);
  }
  return { dashboard, panels, from, to, step, namespace };
}
