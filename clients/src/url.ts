// Where a stream is.

/** A URL, or a function that makes one for each attempt: with a fresh ticket, say. */
export type UrlSource = string | URL | (() => string | URL | Promise<string | URL>);

/** The absolute URL of the next attempt. */
export async function nextUrl(url: UrlSource): Promise<URL> {
  const next = typeof url === "function" ? await url() : url;
  return new URL(next, globalThis.location?.href);
}

/** The URL as it stands before the first attempt; empty where a function is to make it. */
export function knownUrl(url: UrlSource): string {
  if (typeof url === "function") return "";
  return new URL(url, globalThis.location?.href).href;
}
