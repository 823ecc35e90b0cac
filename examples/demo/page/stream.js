// One stream, by EventSource or by fetch, and what can be known about it from outside.

/** Event types that this server may send, beside `message`. */
const NAMES = ["message", "tick", "reset", "lagged", "auth_expired"];
const CLOSED = 2;

export class Stream {
  #source = null;
  #listening = new Set();
  #opens = 0;
  #lastEventId = "";

  /** @param notify gets `{ change, status?, cause? }` or `{ event }`. */
  constructor(notify) {
    this.notify = notify;
  }

  /** 0, 1, 2 as EventSource says; null before the first one. */
  get readyState() {
    return this.#source?.readyState ?? null;
  }

  get reconnects() {
    return Math.max(0, this.#opens - 1);
  }

  get lastEventId() {
    return this.#lastEventId;
  }

  /** Follows an EventSource, or whatever looks like one. */
  follow(source, names) {
    this.close();
    this.#opens = 0;
    this.#lastEventId = "";
    this.#source = source;
    this.#listening.clear();
    for (const name of [...NAMES, ...names]) this.listenFor(name);
    source.addEventListener("open", (event) => {
      if (event instanceof MessageEvent) return;
      this.#opens += 1;
      this.notify({ change: "open" });
    });
    source.addEventListener("error", (event) => {
      if (source !== this.#source || event instanceof MessageEvent) return;
      const { status, cause } = event;
      this.notify({ change: source.readyState === CLOSED ? "failed" : "lost", status, cause });
    });
    this.notify({ change: "connecting" });
  }

  /** An EventSource hands out only the event types that somebody listens for. */
  listenFor(name) {
    if (!this.#source || !name || this.#listening.has(name)) return;
    this.#listening.add(name);
    const take = (event) => {
      // `error` and `open` are the source's own and carry no data.
      if (!(event instanceof MessageEvent)) return;
      this.#lastEventId = event.lastEventId;
      this.notify({ event: { name, id: event.lastEventId, data: event.data } });
    };
    this.#source.addEventListener(name, take);
    // Under these names the clients of this project hand out what the server has named so.
    if (name === "error" || name === "open") this.#source.addEventListener(`event:${name}`, take);
  }

  close() {
    if (!this.#source || this.#source.readyState === CLOSED) return;
    this.#source.close();
    this.notify({ change: "closed" });
  }
}
