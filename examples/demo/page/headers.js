// The headers of a stream, as far as the browser shows them to this page, and what they are for.

/** Asks for the stream's headers: HEAD holds no slot, uses no ticket, opens nothing. */
export function ask(url, credentials, headers = {}) {
  return fetch(url, {
    method: "HEAD",
    headers: { Accept: "text/event-stream", ...headers },
    credentials: credentials ? "include" : "omit",
    cache: "no-store",
  });
}

/** Whether anything answers at an origin at all; the answer itself stays hidden, and counts nowhere. */
export async function reachable(origin) {
  try {
    await fetch(new URL("/healthz", origin), { mode: "no-cors", cache: "no-store" });
    return true;
  } catch {
    return false;
  }
}

const has = (token) => (value) =>
  value.toLowerCase().split(/[,;]/).some((part) => part.trim() === token);

const EXPECTED = [
  ["Content-Type", has("text/event-stream"), "Anything else, and an EventSource gives up for good."],
  ["Cache-Control", has("no-store"), "Nothing on the way may keep or transform the stream."],
  ["Vary", has("origin"), "The answer depends on the Origin: no cache may mix them up."],
  ["X-Accel-Buffering", has("no"), "nginx passes each event on at once."],
  ["X-Content-Type-Options", has("nosniff"), "The body is never taken for a script."],
  ["Content-Security-Policy", (value) => value.includes("default-src 'none'"), "Should the body ever be shown as a page, it can do nothing."],
  ["Surrogate-Control", has("no-store"), "For CDNs that have a header of their own."],
  ["CDN-Cache-Control", has("no-store"), "The same, as RFC 9213 names it."],
];

/** The verdict on a reply: rows of `{ name, verdict, value, meaning }`. */
export function judge(reply, crossOrigin, credentials) {
  return [...cors(reply, crossOrigin, credentials), ...EXPECTED.map(([name, right, meaning]) => {
    const value = reply.headers.get(name);
    if (value !== null) return { name, verdict: right(value) ? "ok" : "wrong", value, meaning };
    return crossOrigin
      ? { name, verdict: "hidden", value: null, meaning: "Not shown to scripts of another origin." }
      : { name, verdict: "missing", value: null, meaning };
  })];
}

/** What can be known about the CORS headers: across origins they are not shown, but they work. */
function cors(reply, crossOrigin, credentials) {
  const row = (name, value, meaning) => ({ name, verdict: crossOrigin ? "ok" : "none", value, meaning });
  const allowOrigin = "Access-Control-Allow-Origin";
  const allowCredentials = "Access-Control-Allow-Credentials";
  if (!crossOrigin) {
    const value = reply.headers.get(allowOrigin);
    if (value !== null) return [{ name: allowOrigin, verdict: "wrong", value, meaning: "Not asked for: this request carried no Origin." }];
    return [row(allowOrigin, null, "None, and none needed: same origin.")];
  }
  const rows = [row(allowOrigin, location.origin, "It must name this page’s origin: the script may read the reply.")];
  if (credentials) rows.push(row(allowCredentials, "true", "It must allow credentials: they were sent, and the reply is readable."));
  return rows;
}
