// The Prometheus text format, as far as this page reads it.

/** Parses an exposition into `name → [{ labels, value }]`. */
export function parse(text) {
  const families = new Map();
  for (const line of text.split("\n")) {
    if (!line || line.startsWith("#")) continue;
    const match = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)/.exec(line);
    if (!match) continue;
    const [, name, labels = "", value] = match;
    if (!families.has(name)) families.set(name, []);
    families.get(name).push({ labels: parseLabels(labels), value: Number(value) });
  }
  return families;
}

function parseLabels(text) {
  const labels = {};
  for (const [, name, value] of text.matchAll(/([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/g)) {
    labels[name] = value.replace(/\\(.)/g, (_, c) => (c === "n" ? "\n" : c));
  }
  return labels;
}

/** The sum of a family's series; null when the server does not export it. */
export function total(families, name) {
  const series = families.get(name);
  return series ? series.reduce((sum, { value }) => sum + value, 0) : null;
}

/** The sums of a family's series by one label, without zeros, the largest first. */
export function by(families, name, label) {
  const sums = new Map();
  for (const { labels, value } of families.get(name) ?? []) {
    const key = labels[label] ?? "";
    sums.set(key, (sums.get(key) ?? 0) + value);
  }
  return [...sums].filter(([, value]) => value > 0).sort(([, a], [, b]) => b - a);
}

/** The sum of a family's series that have these labels; null when the server does not export it. */
export function sum(families, name, labels) {
  const series = families?.get(name);
  const fits = (of) => Object.entries(labels).every(([label, value]) => of[label] === value);
  return series ? series.filter((one) => fits(one.labels)).reduce((all, { value }) => all + value, 0) : null;
}

/** A look at the metrics; null when there is none. */
export async function look() {
  try {
    const reply = await fetch("/metrics", { cache: "no-store", headers: { Accept: "text/plain" } });
    return reply.ok ? parse(await reply.text()) : null;
  } catch {
    return null;
  }
}

/** Calls `update(families)` each second while the page is seen, `update(null)` when it cannot. */
export function poll(update) {
  const once = async () => {
    if (!document.hidden) update(await look());
    setTimeout(once, 1000);
  };
  once();
}
