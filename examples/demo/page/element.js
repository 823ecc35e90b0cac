// Elements made by hand, without markup strings: what the server or a client sent stays text.

/** An HTML element with attributes and children. */
export function element(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** An SVG element with attributes. */
export function shape(tag, attributes = {}) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, []);
}

/** The element with this id. */
export const byId = (id) => document.getElementById(id);

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}
