// Asks the server. The token stays in this tab and goes into a header, never into an address.

const KEY = "operators-token";

let token = sessionStorage.getItem(KEY);

/** The server does not take the token, or asks for one; or it shows nothing to this machine. */
export class Forbidden extends Error {
  constructor(message, wantsToken = true) {
    super(message);
    this.wantsToken = wantsToken;
  }
}

/** Whether there is a token in this tab. */
export const isSignedIn = () => token !== null;

/** Uses this token from now on; `null` forgets it. */
export function useToken(text) {
  token = text;
  if (text === null) sessionStorage.removeItem(KEY);
  else sessionStorage.setItem(KEY, text);
}

/** Whether the server asks for a token at all. */
export async function wantsToken() {
  const response = await fetch("api/access", { cache: "no-store" });
  return response.ok && (await response.json()).token;
}

/** What the server answers below `api/`. */
export const get = (path) => ask(path, { method: "GET" });

/** Has the server do something. */
export const post = (path, body = {}) =>
  ask(path, { method: "POST", body: JSON.stringify(body) });

async function ask(path, options) {
  const headers = new Headers({ Accept: "application/json" });
  if (options.body !== undefined) headers.set("Content-Type", "application/json");
  if (token !== null) {
    try {
      headers.set("Authorization", `Bearer ${token}`);
    } catch {
      throw new Forbidden("A token has none of these characters.");
    }
  }
  const response = await fetch(`api/${path}`, { ...options, headers, cache: "no-store" });
  const answer = await response.json().catch(() => ({}));
  if (response.status === 403) throw new Forbidden(answer.hint ?? "the server refuses", answer.error === "token_required");
  if (!response.ok && response.status !== 404) throw new Error(`The server answers ${response.status}.`);
  return answer;
}
