// An EventSource that outlasts what ends a browser's own for good: any status but 200. It makes a
// new one, with a fresh URL (a new ticket, say) and with the last event ID, which a new EventSource
// cannot send as a header and so carries in the query. To its listeners it is one EventSource.

const FIRST_WAIT = 1000;
const LONGEST_WAIT = 60_000;

export class LastingEventSource extends EventTarget {
  readyState = EventSource.CONNECTING;
  #source = null;
  #names = new Set();
  #lastEventId = "";
  #failures = 0;
  #timer = 0;

  /**
   * @param url a URL, or a function that fetches one for each new EventSource; when it throws, the
   *   stream is closed for good, and the last `error` event carries the reason as `cause`
   */
  constructor(url, { withCredentials = false } = {}) {
    super();
    const next = typeof url === "function" ? url : () => url;
    // Listeners are added after the constructor.
    queueMicrotask(() => this.#open(next, withCredentials));
  }

  addEventListener(name, ...rest) {
    super.addEventListener(name, ...rest);
    if (this.#names.has(name) || name === "open" || name === "error") return;
    this.#names.add(name);
    this.#relay(this.#source, name);
  }

  close() {
    this.readyState = EventSource.CLOSED;
    clearTimeout(this.#timer);
    this.#source?.close();
  }

  async #open(next, withCredentials) {
    let url;
    try {
      url = new URL(await next(), location.href);
    } catch (cause) {
      if (this.readyState === EventSource.CLOSED) return;
      this.close();
      this.dispatchEvent(Object.assign(new Event("error"), { cause }));
      return;
    }
    if (this.readyState === EventSource.CLOSED) return;
    if (this.#lastEventId) url.searchParams.set("lastEventId", this.#lastEventId);
    const source = new EventSource(url, { withCredentials });
    this.#source = source;
    for (const name of this.#names) this.#relay(source, name);
    source.addEventListener("open", () => {
      this.#failures = 0;
      this.readyState = EventSource.OPEN;
      this.dispatchEvent(new Event("open"));
    });
    source.addEventListener("error", () => {
      this.readyState = EventSource.CONNECTING;
      this.dispatchEvent(new Event("error"));
      // As long as the browser tries by itself, let it.
      if (source.readyState !== EventSource.CLOSED || this.readyState === EventSource.CLOSED) return;
      this.#timer = setTimeout(() => this.#open(next, withCredentials), this.#wait());
    });
  }

  #relay(source, name) {
    source?.addEventListener(name, ({ data, lastEventId }) => {
      this.#lastEventId = lastEventId;
      this.dispatchEvent(new MessageEvent(name, { data, lastEventId }));
    });
  }

  /** Twice as long after each failure in a row, and spread, so that a crowd does not come together. */
  #wait() {
    const wait = Math.min(FIRST_WAIT * 2 ** this.#failures, LONGEST_WAIT);
    this.#failures += 1;
    return wait * (0.8 + 0.4 * Math.random());
  }
}
