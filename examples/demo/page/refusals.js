// Requests that break one rule each, and how the server says no.

import { byId, element } from "./element.js";
import { streamOrigin, streamUrl } from "./place.js";

const SHOWN = ["WWW-Authenticate", "Allow", "Retry-After"];
const asEvents = { Accept: "text/event-stream" };

/** What can be tried: each makes the arguments of one fetch. */
const RULES = [
  {
    key: "accept",
    title: "Asks for a page, not for events",
    make: (url) => [url, { headers: { Accept: "text/html" } }],
  },
  {
    key: "method",
    title: "Posts to a stream",
    make: (url) => [url, { method: "POST", headers: asEvents }],
  },
  {
    key: "anonymous",
    title: "Does not say who is asking",
    make: (url) => [url, { headers: asEvents, credentials: "omit" }],
    needs: "required",
  },
  {
    key: "token",
    title: "Brings a token that does not hold",
    make: (url) => [url, { headers: { ...asEvents, Authorization: "Bearer not.a.token" }, credentials: "omit" }],
    needs: "tokens",
  },
  {
    key: "scope",
    title: "Is known, but may not read this topic",
    make: async (url, sign) => {
      const token = await sign({ user: "eve", topics: ["another"], seconds: 60 });
      return [url, { headers: { ...asEvents, Authorization: `Bearer ${token}` }, credentials: "omit" }];
    },
    needs: "sign-in",
  },
  {
    key: "ticket",
    title: "Sends a ticket that was not issued",
    make: (url) => {
      const forged = new URL(url);
      forged.searchParams.set("ticket", "forged");
      return [forged, { headers: asEvents, credentials: "omit" }];
    },
    needs: "tickets",
  },
];

/** Fills the list with what this server can refuse. */
export function showRefusals(offers, topic, sign) {
  const list = byId("refusals");
  list.append(...RULES.filter(({ needs }) => !needs || offers.has(needs)).map((rule) => {
    const button = element("button", { type: "button", class: "quiet" }, "Try");
    const seen = element("span", { class: "chip" });
    const answer = element("div", { class: "said" });
    const item = element("li", { "data-rule": rule.key }, button, element("span", {}, rule.title), seen, answer);
    button.addEventListener("click", async () => {
      const [status, ...said] = await attempt(rule, streamUrl(streamOrigin, topic()), sign);
      item.dataset.status = status;
      item.dataset.tone = Number(status) >= 400 ? "bad" : "wait";
      seen.textContent = status;
      answer.replaceChildren(...said.map((text) => element("span", {}, text)));
    });
    return item;
  }));
}

/** Sends one; returns the status, the body and the headers that explain it. */
async function attempt(rule, url, sign) {
  const leave = new AbortController();
  try {
    const [where, how] = await rule.make(url, sign);
    const reply = await fetch(where, { cache: "no-store", ...how, signal: leave.signal });
    if (reply.ok) return ["200", "It was let in: this server does not mind."];
    const headers = SHOWN.filter((name) => reply.headers.has(name)).map((name) => `${name}: ${reply.headers.get(name)}`);
    return [String(reply.status), await reply.text(), ...headers];
  } catch {
    return ["hidden", "The browser keeps the reply to itself."];
  } finally {
    // An answer that is a stream after all would go on for ever.
    leave.abort();
  }
}
