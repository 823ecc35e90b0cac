// Who is asking, and the ways to say so: a cookie, a bearer token, a ticket.

import { watch } from "/sse-reports/client.js";
import { byId } from "./element.js";
import { reports } from "./place.js";
import { FetchStream, LastingEventSource } from "./sse-client.js";

let token = null;

/** A description of each proof. */
export const PROOFS = [
  { key: "none", title: "nothing" },
  { key: "cookie", title: "cookie" },
  { key: "bearer", title: "bearer, by fetch" },
  { key: "ticket", title: "ticket in the URL" },
];

/** Asks the demo for a token. It asks for no password: it stands in for a real sign-in. */
export async function sign({ user, topics, publish = false, seconds, cookie = false }) {
  const reply = await fetch("/session", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ user, topics, publish, seconds, cookie }),
  });
  const said = await reply.json();
  if (!reply.ok) throw new Error(said.message ?? said.error);
  return said.token;
}

/** The headers that a request of this page's user carries. */
export const authorization = () => (token ? { Authorization: `Bearer ${token}` } : {});

/**
 * A source of events for this address, by the chosen proof. With `reported` the crate's own script
 * watches it: when the browser gives up, it determines why and reports it to the server.
 */
export function open(url, proof, withCredentials, reported) {
  if (proof === "bearer") {
    return new FetchStream(url, { headers: authorization, credentials: "omit" });
  }
  if (proof === "ticket") {
    return new LastingEventSource(() => withTicket(url));
  }
  const source = new EventSource(url, { withCredentials: proof === "cookie" || withCredentials });
  return reported ? watch(source, reports) : source;
}

/** A ticket for a stream: real credentials in, one short-lived use of a URL out. */
async function withTicket(url) {
  // From the stream's own origin: a ticket is bound to the origin of the page that asked there.
  const reply = await fetch(new URL(`/ticket${url.search}`, url), { method: "POST", headers: authorization() });
  const said = await reply.json();
  if (!reply.ok) throw new Error(`${reply.status} ${said.error}: there is no ticket without real credentials`);
  const address = new URL(url);
  address.searchParams.set("ticket", said.ticket);
  return address;
}

/** Makes the sign-in form work; `changed` is called for each sign-in and sign-out. */
export function showSignIn(changed) {
  const result = byId("identity");
  const show = (tone, text) => {
    result.dataset.tone = tone;
    result.textContent = text;
  };
  const signedIn = (yes) => {
    byId("sign-out").disabled = !yes;
    changed(yes);
  };
  byId("sign-in-form").addEventListener("submit", async (submit) => {
    submit.preventDefault();
    const user = byId("user").value.trim();
    const seconds = Number(byId("lifetime").value);
    const topics = byId("rights").value.split(",").map((topic) => topic.trim()).filter(Boolean);
    try {
      token = await sign({ user, seconds, publish: true, cookie: true, topics: topics.length > 0 ? topics : undefined });
      show("good", `${user}, until ${new Date(Date.now() + seconds * 1000).toLocaleTimeString("en-GB")}: a session cookie, and a token for this page.`);
      signedIn(true);
    } catch (error) {
      show("bad", error.message);
    }
  });
  byId("sign-out").addEventListener("click", async () => {
    const reply = await fetch("/session", { method: "DELETE", headers: authorization() });
    token = null;
    show(reply.ok ? "info" : "bad", reply.ok
      ? "Signed out: the cookie is gone, and the server has ended this user’s streams."
      : `Not signed out: ${reply.status}`);
    signedIn(false);
  });
}
