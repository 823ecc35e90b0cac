// Where this page is, and which addresses it can open. The server writes the ports and the
// allow-list into attributes of <html>, for they are known only once its listeners are bound.

const page = document.documentElement.dataset;
const loopback = { "localhost": "127.0.0.1", "127.0.0.1": "localhost" };

const withPort = (hostname, port) => new URL(`${location.protocol}//${hostname}:${port}`).origin;

/** The stream's origin, by the name under which this page was reached. */
export const streamOrigin = withPort(location.hostname, page.streamPort);

/** Whether this page comes from the second listener, whose origin the policy does not know. */
export const isForeign = location.origin !== streamOrigin;

/** The same page at the second listener, if there is one. */
export const foreignPage =
  page.foreignPort ? withPort(location.hostname, page.foreignPort) + "/" : null;

/** Where the metrics are, if not mounted beside the page. */
export const metricsElsewhere = page.metrics || null;

/** Whether the allow-list covers this page's origin: by name, by any port, or as a sub-domain. */
export const isListed = (page.allow ?? "").split(" ").some((entry) => {
  if (entry.endsWith(":*")) return location.origin.startsWith(entry.slice(0, -1));
  const [scheme, domain] = entry.split("://*");
  if (domain) return location.origin.startsWith(`${scheme}://`) && location.origin.endsWith(domain);
  return entry === location.origin || entry === "*";
});

/** The stream's other origin, where its policy lets this page read across origins. */
export const otherOrigin =
  !isForeign && isListed && loopback[location.hostname] ? withPort(loopback[location.hostname], page.streamPort) : null;

/** Where streams that this page's browser gave up are reported. */
export const reports = new URL("/sse-reports", streamOrigin);

/** What the server can do beyond streaming: sign-in, tour, required, tokens, tickets. */
export const offers = new Set((page.offers ?? "").split(" ").filter(Boolean));

/** The addresses that can be opened from here. */
export function targets() {
  const here = {
    key: isForeign ? "foreign" : "same",
    origin: streamOrigin,
    title: isForeign ? "Cross-origin, from a foreign page" : "Same origin",
    note: isForeign
      ? "This page’s origin is not on the allow-list."
      : "The browser sends no Origin; no CORS is needed.",
  };
  const other = loopback[location.hostname];
  if (!other) return [here];
  const origin = withPort(other, page.streamPort);
  if (isForeign) return [here];
  return [
    here,
    {
      key: "cross",
      origin,
      title: isListed ? "Cross-origin, allowed" : "Cross-origin, not allowed",
      note: isListed
        ? "The same server by its other name: another origin, on the allow-list."
        : "The same server by its other name; this page’s origin is not on the allow-list.",
    },
  ];
}

/** The stream's address at an origin. */
export function streamUrl(origin, topic) {
  const url = new URL("/events", origin);
  url.searchParams.set("topic", topic);
  return url;
}
