// Descriptions of what just happened.

import { ask, reachable } from "./headers.js";
import { isForeign, isListed } from "./place.js";

const message = (tone, title, text) => ({ tone, title, text });

export const idle = () => isForeign
  ? message("info", "This page is a foreign origin.",
      `${location.origin} is not on the stream’s allow-list. Open the stream, and see it refused before its first byte.`)
  : message("info", "Nothing is open.",
      "Open the stream from its own origin or across origins, then open this page from a foreign origin and try the same there.");

const HOW = {
  none: "",
  cookie: " The session cookie goes along.",
  bearer: " fetch sends the token in an Authorization header, which no EventSource can; across origins the browser asks with a preflight first.",
  ticket: " The ticket stands in the URL: it is good for this stream, for a minute.",
};

const how = (proof, target) => proof === "cookie" && target.key !== "same"
  ? ` The session cookie belongs to ${location.hostname} and stays at home: there, this page is anonymous.`
  : HOW[proof];

export const connecting = ({ target, proof }) => message("wait", "Connecting.",
  (target.key === "same"
    ? "A GET without an Origin header: the page and the stream share one."
    : `A GET with “Origin: ${location.origin}”. An EventSource is never preflighted: the server’s reply decides.`) + how(proof, target));

export const open = ({ target, proof }) => message("good", "Open.",
  (target.key === "same"
    ? "The headers came at once, before the first event. Heartbeat comments keep the connection alive when nothing happens; no script sees them."
    : `The reply carries “Access-Control-Allow-Origin: ${location.origin}”, so the browser hands the events to this page.`) + how(proof, target));

export const lost = ({ proof }, lastEventId) => message("wait",
  proof === "bearer" || proof === "ticket"
    ? "The connection was lost, and the script comes back by itself."
    : "The connection was lost, and the browser comes back by itself.",
  proof === "ticket"
    ? "A used ticket opens nothing again: where the browser’s own attempt is refused, the script takes a new ticket and goes on from the last event."
    : lastEventId
    ? `It waits for the time that the stream’s “retry:” named, then sends “Last-Event-ID: ${lastEventId}”, and the server replays the events in between.`
    : "It waits for the time that the stream’s “retry:” named.");

export const expired = () => message("wait", "The token has expired.",
  "The server said “auth_expired” and ended the stream. Without a new sign-in the next attempt will be refused.");

export const closed = () => message("info", "Closed by this page.", "The server notices at once, and counts “client_gone”.");

/** Finds out why an EventSource gave up: it says nothing itself. */
export async function failed({ target, url, proof, credentials }, seen, cause) {
  if (cause) return message("bad", "No stream.", `${cause.message}.`);
  // fetch sees the status; an EventSource never does.
  if (seen) return refused(seen);
  if (!(await reachable(target.origin))) {
    return message("bad", "No answer.", `Nothing listens at ${target.origin}, or the network is down.`);
  }
  // A foreign page's HEAD would be refused as well, and be counted as one more rejected origin.
  if (target.key === "foreign" || (target.key === "cross" && !isListed)) {
    return message("bad", "Refused: this origin is not on the allow-list.",
      `The server answered 403, without “Access-Control-Allow-Origin” and without a byte of the stream. The browser reports only “error” to this page, and readyState is CLOSED: it will not come back. “Rejected origins” counts it: at its first rejection as “other”, then by name.`);
  }
  try {
    const { status } = await ask(url, credentials);
    if (status === 401 && proof === "cookie" && target.key !== "same") {
      return message("bad", "Refused with 401.", `The session cookie belongs to ${location.hostname}, and does not travel to ${target.origin}. A bearer token or a ticket does.`);
    }
    return status === 200
      ? message("wait", "The stream ended, and the browser gave up.", "It is there again now: open it once more.")
      : refused(status);
  } catch {
    return message("bad", "Blocked by CORS.",
      "The server answers, but not with an Access-Control-Allow-Origin for this page: the browser keeps the reply to itself.");
  }
}

function refused(status) {
  return message("bad", `Refused with ${status}.`, STATUS[status] ?? "Any status but 200 is final for an EventSource.");
}

const STATUS = {
  401: "The stream wants to know who is asking. Any status but 200 is final for an EventSource: sign in and open it again.",
  403: "Known, but without the right to this topic. Any status but 200 is final for an EventSource.",
  404: "There is no such stream.",
  406: "The stream is for clients that accept text/event-stream.",
  421: "The Host is none that this server answers for.",
  429: "Too many streams, or too many in one second.",
  503: "The server is full or shutting down.",
};
