// An EventSource that outlasts what ends a browser's own for good: any status but 200. It makes a
// new one, with a fresh URL (a new ticket, say) and with the last event ID, which a new EventSource
// cannot send as a header and so carries in the query. To its listeners it is one EventSource.

import { report, type ReportOptions } from "./report.js";
import { Source, StreamErrorEvent, type ErrorDetail } from "./source.js";
import { nextUrl, type UrlSource } from "./url.js";
import { backoff } from "./wait.js";

/** How an `EventSource` is made. Times are in milliseconds. */
export interface LastingEventSourceInit {
  /** As `EventSource` takes it. */
  withCredentials?: boolean;
  /** Closes the stream. */
  signal?: AbortSignal;
  /** Where to resume: the last event ID of an earlier source. */
  lastEventId?: string;
  /** The first wait after the browser has given up. Default 1000. */
  retry?: number;
  /** The longest wait. Default 60 000. */
  longestRetry?: number;
  /** Who is told why a stream was not had: when the browser gives up. */
  report?: ReportOptions;
}

/** The browser's `EventSource`, made anew when it has given up. */
export class LastingEventSource extends Source {
  readonly #next: UrlSource;
  readonly #init: LastingEventSourceInit;
  readonly #closeOnAbort = () => this.close();
  readonly #names = new Set(["message"]);
  #source: EventSource | undefined;
  #lastEventId: string;
  #failures = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /**
   * Opens the stream, after the listeners have been added.
   *
   * A function in place of the URL is called for each new `EventSource`. When it throws, the stream
   * is closed and the error is the `cause` of its last `error` event; `fetch`'s own `TypeError` is a
   * failure of the network and is tried again.
   */
  constructor(url: UrlSource, init: LastingEventSourceInit = {}) {
    super();
    this.#next = url;
    this.#init = init;
    this.#lastEventId = init.lastEventId ?? "";
    if (init.signal?.aborted) {
      this.close();
      return;
    }
    init.signal?.addEventListener("abort", this.#closeOnAbort, { once: true });
    queueMicrotask(() => void this.#open());
  }

  /** The URL of the newest `EventSource`; empty before the first. */
  get url(): string {
    return this.#source?.url ?? "";
  }

  get withCredentials(): boolean {
    return this.#init.withCredentials ?? false;
  }

  get lastEventId(): string {
    return this.#lastEventId;
  }

  /** A browser's source hands out only what somebody listens for. */
  protected override onListener(name: string): void {
    const own = ["open", "error", "event:open", "event:error"];
    if (this.#names.has(name) || own.includes(name)) return;
    this.#names.add(name);
    if (this.#source) this.#relay(this.#source, name);
  }

  override close(): void {
    this.become(Source.CLOSED);
    this.#init.signal?.removeEventListener("abort", this.#closeOnAbort);
    clearTimeout(this.#timer);
    this.#source?.close();
  }

  async #open(): Promise<void> {
    let url: URL;
    try {
      url = await nextUrl(this.#next);
    } catch (cause) {
      if (this.isClosed()) return;
      const network = cause instanceof TypeError;
      this.#gaveUp({ failure: network ? "network" : "caller", cause }, network);
      return;
    }
    if (this.isClosed()) return;
    if (this.#lastEventId) url.searchParams.set("lastEventId", this.#lastEventId);
    const source = new EventSource(url, { withCredentials: this.withCredentials });
    this.#source = source;
    for (const name of this.#names) this.#relay(source, name);
    // The ID to come back with before the first event; nobody need listen to it.
    source.addEventListener("anchor", (event: MessageEvent<string>) => {
      this.#lastEventId = event.lastEventId;
    });
    // A server's event of such a name comes to the same listeners, but as a message.
    source.addEventListener("open", (event: Event) => {
      if (this.#isMessage(event)) return;
      this.#failures = 0;
      this.become(Source.OPEN);
      this.dispatchEvent(new Event("open"));
    });
    source.addEventListener("error", (event: Event) => {
      if (this.#isMessage(event) || this.isClosed()) return;
      if (source.readyState === EventSource.CLOSED) {
        this.#report(source);
        this.#gaveUp({ failure: "gave_up" }, true);
      } else {
        // As long as the browser tries by itself, let it.
        this.become(Source.CONNECTING);
        this.dispatchEvent(new StreamErrorEvent({ failure: "network" }));
      }
    });
  }

  #gaveUp(detail: ErrorDetail, again: boolean): void {
    if (again) this.become(Source.CONNECTING);
    else this.close();
    this.dispatchEvent(new StreamErrorEvent(detail));
    if (!again || this.isClosed()) return;
    this.#failures += 1;
    const { retry = 1000, longestRetry = 60_000 } = this.#init;
    this.#timer = setTimeout(() => void this.#open(), backoff(retry, this.#failures, longestRetry));
  }

  #report({ url, withCredentials }: EventSource): void {
    if (!this.#init.report) return;
    const credentials = withCredentials ? "include" : "same-origin";
    void report(this.#init.report, { url, credentials }, { final: false });
  }

  #relay(source: EventSource, name: string): void {
    source.addEventListener(name, (event: MessageEvent<string>) => this.#pass(event));
  }

  #isMessage(event: Event): boolean {
    if (!(event instanceof MessageEvent)) return false;
    this.#pass(event as MessageEvent<string>);
    return true;
  }

  #pass({ type, data, lastEventId, origin }: MessageEvent<string>): void {
    if (this.isClosed()) return;
    this.#lastEventId = lastEventId;
    this.deliver(type, data, lastEventId, origin);
  }
}
