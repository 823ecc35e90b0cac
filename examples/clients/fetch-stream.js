// An event stream over fetch, for what EventSource cannot do: send an Authorization header, see the
// status of a refusal, wait as long as Retry-After says. To its listeners it looks like an
// EventSource: the same events, the same readyState, the same reconnects with Last-Event-ID.

import { events } from "./event-reader.js";

const FIRST_RETRY = 3000;
const LONGEST_RETRY = 60_000;

export class FetchStream extends EventTarget {
  static CONNECTING = 0;
  static OPEN = 1;
  static CLOSED = 2;

  readyState = FetchStream.CONNECTING;
  #lastEventId = "";
  #retry = FIRST_RETRY;
  #failures = 0;
  #leave = new AbortController();

  /**
   * @param url what to open
   * @param headers called before each attempt, so that it can hand out a fresh token
   * @param credentials as fetch takes it; cookies travel with "include" alone
   */
  constructor(url, { headers = () => ({}), credentials = "same-origin" } = {}) {
    super();
    this.url = String(url);
    // Listeners are added after the constructor.
    queueMicrotask(() => this.#run(headers, credentials));
  }

  close() {
    this.readyState = FetchStream.CLOSED;
    this.#leave.abort();
  }

  async #run(headers, credentials) {
    while (this.readyState !== FetchStream.CLOSED) {
      this.readyState = FetchStream.CONNECTING;
      const wait = await this.#once(headers, credentials).catch(() => this.#backoff());
      if (this.readyState === FetchStream.CLOSED) return;
      this.readyState = FetchStream.CONNECTING;
      this.dispatchEvent(new Event("error"));
      await this.#sleep(wait);
    }
  }

  /** One connection, to its end; returns how long to wait before the next one. */
  async #once(headers, credentials) {
    const { signal } = this.#leave;
    const resume = this.#lastEventId && { "Last-Event-ID": this.#lastEventId };
    const reply = await fetch(this.url, {
      headers: { Accept: "text/event-stream", ...(await headers()), ...resume },
      credentials,
      cache: "no-store",
      signal,
    });
    if (reply.status === 429 || reply.status === 503) {
      const after = Number(reply.headers.get("Retry-After"));
      return after > 0 ? after * 1000 : this.#backoff();
    }
    const kind = reply.headers.get("Content-Type") ?? "";
    if (reply.status !== 200 || !kind.startsWith("text/event-stream")) {
      // Refused for good: asking again would get the same answer.
      this.readyState = FetchStream.CLOSED;
      this.dispatchEvent(Object.assign(new Event("error"), { status: reply.status, reply }));
      return 0;
    }
    this.#failures = 0;
    this.readyState = FetchStream.OPEN;
    this.dispatchEvent(new Event("open"));
    for await (const { event, data, id, retry } of events(reply.body, this.#lastEventId)) {
      if (this.readyState === FetchStream.CLOSED) break;
      if (retry !== undefined) {
        this.#retry = retry;
        continue;
      }
      this.#lastEventId = id;
      this.dispatchEvent(new MessageEvent(event, { data, lastEventId: id }));
    }
    return this.#retry;
  }

  /** Twice as long after each failure in a row, and spread, so that a crowd does not come together. */
  #backoff() {
    this.#failures += 1;
    const wait = Math.min(this.#retry * 2 ** (this.#failures - 1), LONGEST_RETRY);
    return wait * (0.8 + 0.4 * Math.random());
  }

  #sleep(wait) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, wait);
      this.#leave.signal.addEventListener("abort", () => {
        clearTimeout(timer);
        resolve();
      }, { once: true });
    });
  }
}
