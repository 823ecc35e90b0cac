// Reads every expression below grafana/ with the grammar of a current Prometheus, for the suite's own is an old one.
//
//   npm ci --prefix tests/kubernetes && node tests/kubernetes/promql.mjs
import { parser } from '@prometheus-io/lezer-promql';
import { readFileSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';

const grafana = fileURLToPath(new URL('../../grafana/', import.meta.url));

/** Where the grammar does not know what to make of it, if anywhere. */
function fault(expression) {
  let at;
  parser.parse(expression).iterate({
    enter({ type, from }) {
      if (type.isError) at ??= from;
    },
  });
  return at === undefined ? undefined : expression.slice(at, at + 40);
}

// A grammar that finds nothing wrong with these would find nothing wrong with anything.
for (const wrong of ['sum by (job (x)', 'x[5m', 'rate(x{a=~})', 'x and and y']) {
  if (fault(wrong) === undefined) throw new Error(`not noticed: ${wrong}`);
}

function* expressions() {
  for (const file of readdirSync(`${grafana}rules`).filter((name) => name.endsWith('.yml'))) {
    for (const { rules } of parse(readFileSync(`${grafana}rules/${file}`, 'utf8')).groups) {
      for (const { alert, record, expr } of rules) yield [alert ?? record, expr];
    }
  }
  for (const file of readdirSync(`${grafana}dashboards`)) {
    const { panels, annotations } = JSON.parse(readFileSync(`${grafana}dashboards/${file}`, 'utf8'));
    for (const { title, targets = [] } of panels.flatMap((panel) => [panel, ...(panel.panels ?? [])])) {
      for (const { expr } of targets) yield [`${file}: ${title}`, expr];
    }
    for (const { name, expr } of annotations.list) if (expr) yield [`${file}: ${name}`, expr];
  }
}

let [seen, bad] = [0, 0];
for (const [name, expression] of expressions()) {
  seen += 1;
  // Grafana's own, which Prometheus never sees.
  const text = expression.replaceAll('$__rate_interval', '1m');
  const found = fault(text);
  if (found !== undefined) {
    bad += 1;
    console.error(`${name}: ${found}`);
  }
}
if (bad > 0) process.exit(1);
console.log(`${seen} expressions as Prometheus reads them`);
