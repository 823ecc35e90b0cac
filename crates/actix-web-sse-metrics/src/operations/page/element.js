// Elements made by hand, without markup strings: what a client sent stays text.

/** The element with this id. */
export const byId = (id) => document.getElementById(id);

/** An HTML element with attributes and children. */
export function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

/** Sets a text only if it is another one: nothing is announced or selected anew. */
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/**
 * Makes the children of `parent` those of `items`, each kept by its key. Nothing moves while the focus
 * is inside: it would be lost.
 */
export function keyed(parent, items, keyOf, make, update) {
  const known = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  const nodes = items.map((item) => {
    const key = String(keyOf(item));
    const node = known.get(key) ?? make(item);
    node.dataset.key = key;
    known.delete(key);
    update(node, item);
    return node;
  });
  for (const gone of known.values()) gone.remove();
  const stays = parent.contains(document.activeElement);
  nodes.forEach((node, at) => {
    if (node.parentNode !== parent) parent.insertBefore(node, parent.children[at] ?? null);
    else if (!stays && parent.children[at] !== node) parent.insertBefore(node, parent.children[at]);
  });
}

/** A cell of a table, which has its column's name with it on narrow screens. */
export const cell = (label, attributes = {}, ...children) =>
  element("td", { role: "cell", "data-label": label, ...attributes }, ...children);

export const number = (value) => (value ?? null) === null ? "–" : value.toLocaleString("en");

/** Bytes as people read them. */
export function bytes(value) {
  if ((value ?? null) === null) return "–";
  const units = ["B", "KB", "MB", "GB", "TB"];
  let at = 0;
  for (; value >= 1000 && at < units.length - 1; at += 1) value /= 1000;
  return `${at === 0 ? value : value.toFixed(1)} ${units[at]}`;
}

/** A delay, which may be of milliseconds. */
export const delay = (seconds) => (seconds < 1 ? `${Math.round(seconds * 1000)} ms` : span(seconds));

/** How long ago something was. */
export const since = (seconds) => (seconds < 1 ? "now" : `${span(seconds)} ago`);

/** Seconds as people read them. */
export function span(seconds) {
  if ((seconds ?? null) === null) return "–";
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86400)} d ${Math.floor((seconds % 86400) / 3600)} h`;
}

/** How long ago a time of the server's was, by the server's clock. */
export const ago = (time, now) => Math.max(0, (Date.parse(now) - Date.parse(time)) / 1000);

/** What a browser makes of a reply: good, bad, or nothing to judge. */
export const tone = (verdict) => ({ allowed: "good", same_origin: "good", denied: "bad" })[verdict] ?? "info";

/** The names of the vocabulary as words. */
export const words = (name) => (name ?? "–").replaceAll("_", " ");
