// The panels of a dashboard, drawn with Grafana's own components from what Prometheus answered.

import {
  FieldType,
  ThresholdsMode,
  dateTime,
  fieldMatchers,
  getDisplayProcessor,
  reduceField,
  renderMarkdown,
} from "@grafana/data";
import {
  BigValue,
  BigValueColorMode,
  BigValueGraphMode,
  BigValueTextMode,
  PanelChrome,
  TimeSeries,
} from "@grafana/ui";
import { TableNG } from "@grafana/ui/unstable";

const TIME_ZONE = "utc";

// As Grafana's Prometheus data source names a series: by the legend of the query, or where the
// query leaves that to it, by the labels.
function seriesName(legend, { __name__, ...labels }, expression) {
  if (legend !== "__auto") return legend.replace(/\{\{\s*(.+?)\s*\}\}/g, (_, label) => labels[label] ?? "");
  const values = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
  return values.length ? `{${values.join(", ")}}` : expression;
}

// Sets `custom.fillOpacity` and the like.
function set(config, path, value) {
  const names = path.split(".");
  const last = names.pop();
  names.reduce((inner, name) => (inner[name] ??= {}), config)[last] = value;
}

// A field with the settings of its panel, as `applyFieldOverrides` leaves it.
function field(name, type, values, config, theme, { state = {}, overrides = [] } = {}) {
  const made = { name, type, values, config: structuredClone(config), state };
  for (const { matcher, properties } of overrides) {
    if (!fieldMatchers.get(matcher.id).get(matcher.options)(made, { fields: [made] }, [])) continue;
    for (const { id, value } of properties) set(made.config, id, value);
  }
  made.display = getDisplayProcessor({ field: made, theme, timeZone: TIME_ZONE });
  return made;
}

function frames(panel, answers, theme) {
  const defaults = panel.fieldConfig.defaults;
  let seriesIndex = 0;
  return answers.flatMap(({ target, result }) =>
    result.map(({ metric, values }) => {
      const name = seriesName(target.legendFormat, metric, target.expr);
      const numbers = values.map(([, value]) => Number(value)).map((value) => (Number.isNaN(value) ? null : value));
      const thresholds = defaults.thresholds && {
        ...defaults.thresholds,
        mode: ThresholdsMode.Absolute,
        // JSON has no number for "from the beginning".
        steps: defaults.thresholds.steps.map((step) => ({ ...step, value: step.value ?? -Infinity })),
      };
      const config = { ...defaults, thresholds, displayName: name };
      const seen = numbers.filter((value) => value !== null);
      const [min, max] = [Math.min(...seen), Math.max(...seen)];
      const state = { seriesIndex: seriesIndex++, displayName: name, range: { min, max, delta: max - min } };
      const overrides = panel.fieldConfig.overrides;
      const made = field("Value", FieldType.number, numbers, config, theme, { state, overrides });
      return {
        refId: target.refId,
        name,
        length: values.length,
        fields: [field("Time", FieldType.time, values.map(([time]) => time * 1000), {}, theme), made],
      };
    }),
  );
}

// Prometheus has no sample where there was nothing: the line breaks there, as it does in Grafana.
function withGaps(frame, step) {
  const [time, value] = frame.fields;
  const times = [];
  const numbers = [];
  time.values.forEach((at, index) => {
    if (index > 0 && at - time.values[index - 1] > step * 1500) {
      times.push(time.values[index - 1] + step * 1000);
      numbers.push(null);
    }
    times.push(at);
    numbers.push(value.values[index]);
  });
  return { ...frame, length: times.length, fields: [{ ...time, values: times }, { ...value, values: numbers }] };
}

function Stat({ panel, answers, width, height, theme }) {
  const [frame] = frames(panel, answers, theme);
  if (frame === undefined) return <NoData />;
  const [time, value] = frame.fields;
  const calculation = panel.options.reduceOptions.calcs[0];
  const number = reduceField({ field: value, reducers: [calculation] })[calculation];
  return (
    <BigValue
      value={value.display(number)}
      sparkline={{ y: value, x: time }}
      colorMode={BigValueColorMode.Value}
      graphMode={BigValueGraphMode.Area}
      textMode={BigValueTextMode.Value}
      width={width}
      height={height}
      theme={theme}
    />
  );
}

function Lines({ panel, answers, width, height, theme, range, step }) {
  const drawn = frames(panel, answers, theme).map((frame) => withGaps(frame, step));
  if (drawn.length === 0) return <NoData />;
  return (
    <TimeSeries
      frames={drawn}
      structureRev={1}
      timeRange={range}
      timeZone={TIME_ZONE}
      width={width}
      height={height}
      legend={panel.options.legend}
      options={panel.options}
    />
  );
}

function Rows({ panel, answers, width, height, theme }) {
  const [{ result }] = answers;
  const hidden = panel.transformations[0].options.excludeByName;
  const labels = [...new Set(result.flatMap(({ metric }) => Object.keys(metric)))].sort();
  const defaults = panel.fieldConfig.defaults;
  const columns = labels
    .filter((label) => !hidden[label])
    .map((label) => field(label, FieldType.string, result.map(({ metric }) => metric[label] ?? ""), {}, theme));
  const values = result.map(({ value }) => Number(value[1]));
  const config = { ...defaults, thresholds: undefined };
  if (!hidden.Value) columns.push(field("Value", FieldType.number, values, config, theme));
  return <TableNG data={{ length: result.length, fields: columns }} fieldConfig={panel.fieldConfig} enableVirtualization={false} {...{ width, height }} />;
}

// Grafana's own state timeline and heatmap are not in its library: bands and cells of the same colours.
function Timeline({ panel, answers, width, height, theme, range }) {
  const drawn = frames(panel, answers, theme);
  if (drawn.length === 0) return <NoData />;
  const [from, to] = [range.from.valueOf(), range.to.valueOf()];
  const names = Math.min(250, width / 2);
  const row = Math.min(28, height / drawn.length);
  const at = (time) => names + ((time - from) / (to - from)) * (width - names);
  return (
    <svg width={width} height={height} fontSize={11} fill={theme.colors.text.primary}>
      {drawn.map((frame, index) => {
        const [time, value] = frame.fields;
        const bands = [];
        time.values.forEach((moment, n) => {
          const { text, color } = value.display(value.values[n]);
          const last = bands.at(-1);
          const end = time.values[n + 1] ?? to;
          if (value.values[n] === null) return;
          if (last?.text === text && last.end === moment) last.end = end;
          else bands.push({ text, color, start: moment, end });
        });
        return (
          <g key={frame.name} transform={`translate(0 ${index * row})`}>
            <text x={0} y={row / 2 + 4}>{frame.name.slice(0, 42)}</text>
            {bands.map(({ text, color, start, end }) => (
              <g key={start}>
                <rect x={at(start)} y={2} width={Math.max(1, at(end) - at(start))} height={row - 4} fill={color} fillOpacity={0.8} />
                {at(end) - at(start) > 40 && <text x={at(start) + 4} y={row / 2 + 4} fill="#fff">{text}</text>}
              </g>
            ))}
          </g>
        );
      })}
    </svg>
  );
}

function Heatmap({ answers, width, height, theme, range, step }) {
  const [{ result }] = answers;
  const bound = ({ metric }) => Number(metric.le.replace("+Inf", "Infinity"));
  const buckets = [...result].sort((a, b) => bound(a) - bound(b));
  if (buckets.length === 0) return <NoData />;
  const [from, to] = [range.from.valueOf() / 1000, range.to.valueOf() / 1000];
  const [axis, row] = [60, height / buckets.length];
  const below = (index, time) => {
    const found = index >= 0 && buckets[index].values.find(([at]) => at === time);
    return found ? Number(found[1]) : 0;
  };
  const cells = buckets.flatMap(({ values }, index) =>
    values.map(([time, value]) => ({ index, time, count: Number(value) - below(index - 1, time) })),
  );
  const most = Math.max(...cells.map(({ count }) => count), 1e-9);
  const wide = Math.max(1, (step / (to - from)) * (width - axis));
  return (
    <svg width={width} height={height} fontSize={9} fill={theme.colors.text.secondary}>
      {buckets.map(({ metric }, index) => (
        <text key={metric.le} x={0} y={height - index * row - 2}>{metric.le}</text>
      ))}
      {cells.filter(({ count }) => count > 1e-9).map(({ index, time, count }) => (
        <rect
          key={`${index} ${time}`}
          x={axis + ((time - from) / (to - from)) * (width - axis)}
          y={height - (index + 1) * row}
          width={wide}
          height={row}
          fill="#ff780a"
          fillOpacity={0.15 + 0.85 * Math.sqrt(count / most)}
        />
      ))}
    </svg>
  );
}

function Alerts({ answers, theme }) {
  const alerts = answers.flatMap(({ result }) => result.map(({ metric }) => metric));
  if (alerts.length === 0) return <div style={{ padding: 12, color: theme.colors.success.text }}>No alert fires</div>;
  const place = ({ namespace, job, instance, route, origin }) =>
    [namespace, job, instance, route, origin].filter(Boolean).join(" ");
  return (
    <ul style={{ listStyle: "none", padding: 8, fontSize: 12 }}>
      {alerts.map((alert) => (
        <li key={JSON.stringify(alert)} style={{ marginBottom: 4 }}>
          <b style={{ color: alert.severity === "critical" ? theme.colors.error.text : theme.colors.warning.text }}>
            {alert.alertname}
          </b>{" "}
          {place(alert)}
        </li>
      ))}
    </ul>
  );
}

// As Grafana's own text panel does it: with the renderer of its library.
function Text({ panel }) {
  return <div className="markdown-html" style={{ padding: 8, fontSize: 12 }} dangerouslySetInnerHTML={{ __html: renderMarkdown(panel.options.content) }} />;
}

function NoData() {
  return <div style={{ textAlign: "center", paddingTop: 40 }}>No data</div>;
}

const VIEWS = {
  stat: Stat,
  timeseries: Lines,
  table: Rows,
  "state-timeline": Timeline,
  heatmap: Heatmap,
  alertlist: Alerts,
  text: Text,
};

const CELL = 30;
const MARGIN = 8;

export function Board({ board, width, theme }) {
  const { dashboard, panels, from, to, step } = board;
  const column = (width + MARGIN) / 24;
  const range = {
    from: dateTime(from * 1000),
    to: dateTime(to * 1000),
    raw: { from: dateTime(from * 1000), to: dateTime(to * 1000) },
  };
  const height = Math.max(...dashboard.panels.map(({ gridPos }) => gridPos.y + gridPos.h)) * (CELL + MARGIN);
  return (
    <div style={{ position: "relative", width, height }}>
      {dashboard.panels.map((panel) => {
        const { x, y, w, h } = panel.gridPos;
        const place = { position: "absolute", left: x * column, top: y * (CELL + MARGIN) };
        const size = { width: w * column - MARGIN, height: h * (CELL + MARGIN) - MARGIN };
        if (panel.type === "row") {
          return <h6 key={panel.id} style={{ ...place, ...size, margin: 0, lineHeight: `${size.height}px` }}>{panel.title}</h6>;
        }
        const View = VIEWS[panel.type];
        const answers = panels[panel.id];
        return (
          <div key={panel.id} style={place}>
            <PanelChrome title={panel.title} description={panel.description} {...size}>
              {(width, height) => <View {...{ panel, answers, width, height, theme, range, step }} />}
            </PanelChrome>
          </div>
        );
      })}
    </div>
  );
}
