// An event stream over fetch, for what EventSource cannot do: send an Authorization header or a
// body, see the status of a refusal, notice a dead connection. To its listeners it is one.

import { events } from "./events.js";
import { isEventStream, report, type Diagnosis, type ReportOptions } from "./report.js";
import { Source, StreamErrorEvent, type ErrorDetail } from "./source.js";
import { knownUrl, nextUrl, type UrlSource } from "./url.js";
import { backoff, capped, retryAfter, sleep, spread } from "./wait.js";
import { Watchdog } from "./watchdog.js";

/** Headers as `fetch` takes them, or a function that makes them for each attempt. */
export type HeadersSource = HeadersInit | (() => HeadersInit | Promise<HeadersInit>);

/** How a stream is asked for. Times are in milliseconds. */
export interface FetchStreamInit {
  /** Sent with each attempt. A function can hand out a fresh token. */
  headers?: HeadersSource;
  /** Default `GET`. */
  method?: string;
  /** With another method than `GET`. A function makes it anew for each attempt. */
  body?: BodyInit | (() => BodyInit | Promise<BodyInit>);
  /** As `fetch` takes it. Default `same-origin`. */
  credentials?: RequestCredentials;
  /** As `EventSource` takes it: `credentials` is `include`. */
  withCredentials?: boolean;
  /** Used in place of the global `fetch`. */
  fetch?: typeof fetch;
  /** Closes the stream. */
  signal?: AbortSignal;
  /** Where to resume: the last event ID of an earlier source. */
  lastEventId?: string;
  /**
   * What the server's `stream.heartbeat` is. When nothing has come for two and a half of them, the
   * connection is dead and the next attempt begins. Default 15 000, as the server's; 0 waits for ever.
   */
  heartbeat?: number;
  /** The first wait, where the stream has not said `retry:`. Default 3000. */
  retry?: number;
  /** The longest wait after failures in a row. Default 60 000. */
  longestRetry?: number;
  /** The longest wait that a `Retry-After` or `retry:` may ask for. Default 300 000. */
  longestRetryAfter?: number;
  /**
   * Whether to come back after an end, a cut and any 5xx. Default true for `GET`. For other methods
   * the default is false: the request may have been carried out, and only 425, 429 and 503, which
   * say that it was not, are tried again.
   */
  reconnect?: boolean;
  /** The longest event, in UTF-16 code units. A longer one closes the stream. Default 1 MiB. */
  maxEvent?: number;
  /** Who is told why a stream was not had: at the first failure in a row, and when it gives up. */
  report?: ReportOptions;
}

/** What became of an attempt: the next one after a wait, or none. */
type Outcome = ErrorDetail & { wait: number | "never" };

/** Refused for now, whatever the method: nothing was done. */
const NOT_NOW = new Set([425, 429, 503]);

/** Refused for now (RFC 9110 § 15.5.9), or the server's own failure. */
const isPassing = (status: number) => NOT_NOW.has(status) || status === 408 || status >= 500;

/** An `EventSource` over `fetch`. */
export class FetchStream extends Source {
  readonly #url: UrlSource;
  readonly #init: FetchStreamInit;
  readonly #credentials: RequestCredentials;
  readonly #reconnect: boolean;
  readonly #leave = new AbortController();
  readonly #closeOnAbort = () => this.close();
  #known: string;
  #lastEventId: string;
  #retry: number | undefined;
  #failures = 0;
  /** This attempt has opened a stream. */
  #served = false;
  /** This row of failures has been reported. */
  #reported = false;
  /** What the page has this attempt send. */
  #sent: Headers | undefined;

  /**
   * Opens the stream, after the listeners have been added.
   *
   * When a function of `url` or `init` throws, the stream is closed and the error is the `cause` of
   * its last `error` event; `fetch`'s own `TypeError` is a failure of the network and is tried again.
   */
  constructor(url: UrlSource, init: FetchStreamInit = {}) {
    super();
    this.#known = knownUrl(url);
    this.#url = url;
    this.#init = init;
    this.#credentials = init.withCredentials ? "include" : (init.credentials ?? "same-origin");
    this.#reconnect = init.reconnect ?? (init.method ?? "GET").toUpperCase() === "GET";
    this.#lastEventId = init.lastEventId ?? "";
    if (init.signal?.aborted) {
      this.close();
      return;
    }
    init.signal?.addEventListener("abort", this.#closeOnAbort, { once: true });
    queueMicrotask(() => void this.#run());
  }

  /** The URL of the newest attempt. */
  get url(): string {
    return this.#known;
  }

  get withCredentials(): boolean {
    return this.#credentials === "include";
  }

  /** The last event ID: what the next attempt resumes from. */
  get lastEventId(): string {
    return this.#lastEventId;
  }

  override close(): void {
    this.become(Source.CLOSED);
    this.#init.signal?.removeEventListener("abort", this.#closeOnAbort);
    this.#leave.abort();
  }

  async #run(): Promise<void> {
    while (!this.isClosed()) {
      const attempt = new AbortController();
      const outcome = await this.#attempt(attempt);
      attempt.abort();
      if (this.isClosed()) return;
      this.#report(outcome);
      if (outcome.wait === "never") this.close();
      else this.become(Source.CONNECTING);
      this.dispatchEvent(new StreamErrorEvent(outcome));
      if (outcome.wait !== "never") await sleep(outcome.wait, this.#leave.signal);
    }
  }

  /** One attempt, to its end. */
  async #attempt(attempt: AbortController): Promise<Outcome> {
    const leave = () => attempt.abort();
    this.#leave.signal.addEventListener("abort", leave, { once: true });
    this.#served = false;
    let idle = false;
    const watchdog = new Watchdog(this.#init.heartbeat ?? 15_000, () => {
      idle = true;
      attempt.abort();
    });
    try {
      const request = await this.#request(attempt.signal).catch((cause: unknown) => ({ cause }));
      if ("cause" in request) {
        const network = request.cause instanceof TypeError;
        return network ? this.#failed({ failure: "network", ...request }) : this.#over({ failure: "caller", ...request });
      }
      if (this.isClosed()) return this.#over({ failure: "ended" });
      watchdog.touch();
      const ask = this.#init.fetch ?? fetch;
      const reply = await Promise.race([ask(this.#known, request), aborted(attempt.signal)]);
      const outcome = await this.#read(reply, watchdog, attempt.signal);
      return idle ? this.#failed({ failure: "idle" }) : outcome;
    } catch (cause) {
      if (cause instanceof RangeError) return this.#over({ failure: "overflow", cause });
      return this.#failed({ failure: idle ? "idle" : "network", cause });
    } finally {
      watchdog.stop();
      this.#leave.signal.removeEventListener("abort", leave);
    }
  }

  async #request(signal: AbortSignal): Promise<RequestInit> {
    const { headers, body, method = "GET" } = this.#init;
    this.#known = (await nextUrl(this.#url)).href;
    const sent = new Headers(typeof headers === "function" ? await headers() : headers);
    this.#sent = new Headers(sent);
    if (!sent.has("Accept")) sent.set("Accept", "text/event-stream");
    if (this.#lastEventId) sent.set("Last-Event-ID", asBytes(this.#lastEventId));
    const request: RequestInit = {
      method,
      headers: sent,
      credentials: this.#credentials,
      cache: "no-store",
      signal,
    };
    if (body !== undefined) request.body = typeof body === "function" ? await body() : body;
    return request;
  }

  /** Reads a reply to its end. */
  async #read(reply: Response, watchdog: Watchdog, signal: AbortSignal): Promise<Outcome> {
    const { status, headers, body, url } = reply;
    if (status !== 200 || !isEventStream(headers) || !body) {
      // What nobody reads would keep its connection.
      body?.cancel().catch(() => undefined);
      return this.#refused(status, headers);
    }
    watchdog.touch();
    if (!this.isClosed()) this.#opened();
    const { maxEvent } = this.#init;
    const { origin } = new URL(url || this.#known);
    const reading = { lastEventId: this.#lastEventId, signal, onBytes: () => watchdog.touch() };
    for await (const item of events(body, maxEvent === undefined ? reading : { ...reading, maxEvent })) {
      if (this.isClosed()) break;
      if (item.kind === "retry") {
        this.#retry = capped(item.retry, this.#init.longestRetryAfter ?? 300_000);
        continue;
      }
      this.#lastEventId = item.id;
      if (item.kind === "event") this.deliver(item.event, item.data, item.id, origin);
      else this.onLastEventId(item.id);
    }
    const wait = this.#retry ?? spread(this.#init.retry ?? 3000);
    return { failure: "ended", wait: this.#reconnect ? wait : "never" };
  }

  /** An ID came without an event. For who builds on this. */
  protected onLastEventId(_id: string): void {
    // Nothing: the next attempt sends it.
  }

  #opened(): void {
    this.#failures = 0;
    this.#served = true;
    this.#reported = false;
    this.become(Source.OPEN);
    this.dispatchEvent(new Event("open"));
  }

  #refused(status: number, headers: Headers): Outcome {
    if (status === 200) return this.#over({ failure: "content_type", status });
    const detail: ErrorDetail = { failure: "refused", status };
    if (!isPassing(status)) return this.#over(detail);
    const asked = retryAfter(headers.get("Retry-After"));
    const outcome = this.#failed(detail, this.#reconnect || NOT_NOW.has(status));
    if (asked !== undefined && outcome.wait !== "never") {
      // Not before the time, and not all together after it.
      outcome.wait = capped(asked, this.#init.longestRetryAfter ?? 300_000) * (1 + 0.2 * Math.random());
    }
    return outcome;
  }

  /** A failure that may pass. */
  #failed(detail: ErrorDetail, again = this.#reconnect): Outcome {
    this.#failures += 1;
    const first = this.#retry ?? this.#init.retry ?? 3000;
    const wait = backoff(first, this.#failures, this.#init.longestRetry ?? 60_000);
    return { ...detail, wait: again ? wait : "never" };
  }

  /** A failure that will not. */
  #over(detail: ErrorDetail): Outcome {
    return { ...detail, wait: "never" };
  }

  #report({ failure, status, wait }: Outcome): void {
    const { report: options, fetch: ask } = this.#init;
    const final = wait === "never";
    const was: Record<string, Diagnosis> = { refused: "http_status", content_type: "content_type", idle: "network" };
    if (!options || !this.#known || !(failure in was || failure === "network")) return;
    // A cut is no failure to have a stream, and an outage is one.
    if (!final && (this.#served || this.#reported)) return;
    this.#reported = true;
    const asked = {
      url: this.#known,
      credentials: this.#credentials,
      ...(ask && { fetch: ask }),
      ...(this.#sent && { headers: this.#sent }),
    };
    void report(options, asked, { status, diagnosis: was[failure], final });
  }
}

/** Text as `fetch` takes it for a header: its UTF-8 bytes, each as a character. */
function asBytes(text: string): string {
  return Array.from(new TextEncoder().encode(text), (byte) => String.fromCharCode(byte)).join("");
}

/** Fails when the signal says so: a `fetch` of the page's own may not look at it. */
function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, fail) => {
    signal.addEventListener("abort", () => fail(new DOMException("The attempt was given up.", "AbortError")), { once: true });
  });
}
