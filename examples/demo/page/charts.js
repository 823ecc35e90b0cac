// Small charts, drawn as SVG. Colours come from the style sheet.

import { element, shape } from "./element.js";

const POINTS = 60;

/** The last minute of one or several values, one sample a second. */
export class History {
  #samples = [];

  push(sample) {
    this.#samples.push(sample);
    if (this.#samples.length > POINTS + 1) this.#samples.shift();
  }

  /** One value's samples, the latest last. */
  of(key) {
    return this.#samples.map((sample) => sample[key] ?? 0);
  }

  /** How much one counter rose from sample to sample; a restart of the server counts as none. */
  rises(key) {
    const values = this.of(key);
    return values.slice(1).map((value, i) => Math.max(0, value - values[i]));
  }
}

/** A step line with a filled area; returns the top of its scale. */
export function area(svg, values) {
  const { width, height } = svg.viewBox.baseVal;
  const top = ceiling(Math.max(4, ...values));
  const step = width / (POINTS - 1);
  const shown = values.slice(-POINTS);
  const left = width - (shown.length - 1) * step;
  const y = (value) => height - 2 - (value / top) * (height - 8);
  let line = "";
  shown.forEach((value, i) => {
    const x = left + i * step;
    line += i === 0 ? `M${x} ${y(value)}` : `H${x}V${y(value)}`;
  });
  const grid = [0.25, 0.5, 0.75].map((share) =>
    shape("line", { class: "grid", x1: 0, x2: width, y1: y(top * share), y2: y(top * share) }));
  svg.replaceChildren(
    ...grid,
    shape("path", { class: "fill", d: `${line}V${height}H${left}Z` }),
    shape("path", { class: "line", d: line }),
  );
  return top;
}

/** Bars of each second: the first series upwards, the others downwards from the same zero. */
export function mirrored(svg, up, down) {
  const { width, height } = svg.viewBox.baseVal;
  const above = Math.max(2, ...up.values);
  const below = Math.max(2, ...sums(down));
  const zero = height * (above / (above + below));
  const step = width / POINTS;
  const bars = [shape("line", { class: "zero", x1: 0, x2: width, y1: zero, y2: zero })];
  const bar = (name, i, from, size) => {
    if (size <= 0) return;
    const x = width - (up.values.length - i) * step + step * 0.15;
    bars.push(shape("rect", { class: name, x, y: from, width: step * 0.7, height: size, rx: 1 }));
  };
  const scale = (height - 4) / (above + below);
  up.values.forEach((value, i) => bar(up.name, i, zero - value * scale, value * scale));
  up.values.forEach((_, i) => {
    let from = zero;
    for (const { name, values } of down) {
      const size = (values[i] ?? 0) * scale;
      bar(name, i, from, size);
      from += size;
    }
  });
  svg.replaceChildren(...bars);
}

/** A list of labelled bars; `none` is what stands there when nothing is. */
export function bars(list, entries, none) {
  if (entries.length === 0) {
    list.replaceChildren(element("li", { class: "none" }, none));
    return;
  }
  const most = Math.max(...entries.map(([, value]) => value));
  list.replaceChildren(...entries.slice(0, 6).map(([label, value]) => {
    const track = shape("svg", { viewBox: "0 0 100 4", preserveAspectRatio: "none", "aria-hidden": "true" });
    track.append(shape("rect", { width: (value / most) * 100, height: 4 }));
    return element("li", { "data-label": label, "data-value": value },
      element("span", { class: "label", title: label }, label), element("b", {}, value.toLocaleString("en")), track);
  }));
}

function sums(series) {
  const length = Math.max(0, ...series.map(({ values }) => values.length));
  return Array.from({ length }, (_, i) => series.reduce((sum, { values }) => sum + (values[i] ?? 0), 0));
}

function ceiling(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 4, 5, 8, 10].map((n) => n * power).find((n) => n >= value) ?? value;
}
