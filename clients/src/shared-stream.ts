// One stream for all tabs of a browser. Over HTTP/1.1 a browser has six connections to a host for
// all its tabs: with a stream each, the seventh tab gets nothing at all.
//
// 1. Every tab asks for one lock (Web Locks). Who holds it leads: it has the stream, and passes on
//    what comes (BroadcastChannel). The others follow.
// 2. A follower joins a leader by saying which IDs it has seen last. The leader answers with what it
//    lacks. From then on it takes the leader's events as they come.
// 3. When the leader's tab goes, the browser gives the lock to another, which resumes the stream from
//    its own last ID and says that it leads. Followers that were ahead of it skip what they have had;
//    one that lacks more than the leader remembers gets `reset`.

import { FetchStream, type FetchStreamInit } from "./fetch-stream.js";
import { Recent, type Entry } from "./recent.js";
import { Source, StreamErrorEvent, type Failure, type ReadyState } from "./source.js";
import { knownUrl, type UrlSource } from "./url.js";

/** How the stream of all tabs is asked for. */
export interface SharedStreamInit extends FetchStreamInit {
  /**
   * Tabs with the same name share a stream. Default the URL; it must be given where the URL is a
   * function. Put the user in, where tabs can be signed in differently.
   */
  name?: string;
}

/** What tabs say to each other. */
type Said =
  | { kind: "lead"; leader: string }
  | { kind: "join"; tab: string; ids: string[] }
  | { kind: "state"; leader: string; tab: string; readyState: ReadyState; lacks: Entry[]; ahead: string[]; reset: boolean }
  | { kind: "open"; leader: string }
  | { kind: "error"; leader: string; readyState: ReadyState; failure: Failure; status?: number | undefined }
  | { kind: "entry"; leader: string; entry: Entry };

/** The stream of the tab that leads: what comes is handed on, whatever its name. */
class Leading extends FetchStream {
  readonly #pass: (entry: Entry) => void;

  constructor(url: UrlSource, init: FetchStreamInit, pass: (entry: Entry) => void) {
    super(url, init);
    this.#pass = pass;
  }

  protected override deliver(name: string, data: string, id: string, origin = ""): void {
    this.#pass({ id, event: { name, data, origin } });
  }

  protected override onLastEventId(id: string): void {
    this.#pass({ id });
  }
}

/** An `EventSource` that all tabs of an origin share. */
export class SharedStream extends Source {
  readonly #url: UrlSource;
  readonly #init: SharedStreamInit;
  readonly #name: string;
  readonly #tab = `${Date.now()}-${Math.random()}`;
  readonly #recent: Recent;
  readonly #closeOnAbort = () => this.close();
  readonly #suspend = () => this.#leave();
  readonly #resume = ({ persisted }: PageTransitionEvent) => {
    if (persisted && !this.isClosed()) this.#join();
  };
  #channel: BroadcastChannel | undefined;
  #waiting: AbortController | undefined;
  #stream: Leading | undefined;
  #release: (() => void) | undefined;
  /** The leader that this tab is in step with. */
  #leader = "";
  #ahead = new Set<string>();

  /** Opens the stream if no other tab has it, after the listeners have been added. */
  constructor(url: UrlSource, init: SharedStreamInit = {}) {
    super();
    const name = init.name ?? knownUrl(url);
    if (!name) throw new TypeError("a shared stream whose URL is a function needs a name");
    this.#url = url;
    this.#init = init;
    this.#name = `actix-web-sse-client ${name}`;
    this.#recent = new Recent(init.lastEventId ?? "");
    if (init.signal?.aborted) {
      this.close();
      return;
    }
    init.signal?.addEventListener("abort", this.#closeOnAbort, { once: true });
    // A page in the back/forward cache must not lead: it reads nothing.
    globalThis.addEventListener?.("pagehide", this.#suspend);
    globalThis.addEventListener?.("pageshow", this.#resume);
    queueMicrotask(() => this.#join());
  }

  /** The URL of the stream; empty where another tab's function makes it. */
  get url(): string {
    return this.#stream?.url ?? knownUrl(this.#url);
  }

  get withCredentials(): boolean {
    return this.#init.withCredentials ?? this.#init.credentials === "include";
  }

  /** The last event ID that this tab has seen. */
  get lastEventId(): string {
    return this.#recent.lastEventId;
  }

  /** Whether this tab has the stream. */
  get leads(): boolean {
    return this.#stream !== undefined;
  }

  override close(): void {
    this.become(Source.CLOSED);
    this.#init.signal?.removeEventListener("abort", this.#closeOnAbort);
    globalThis.removeEventListener?.("pagehide", this.#suspend);
    globalThis.removeEventListener?.("pageshow", this.#resume);
    this.#leave();
  }

  #join(): void {
    if (this.isClosed() || this.#channel || this.#stream) return;
    const locks = globalThis.navigator?.locks;
    // Web Locks are for secure contexts. Elsewhere each tab has a stream of its own.
    if (!locks || typeof BroadcastChannel === "undefined") {
      this.#lead();
      return;
    }
    this.#channel = new BroadcastChannel(this.#name);
    this.#channel.onmessage = ({ data }: MessageEvent<Said>) => this.#hear(data);
    this.#ask();
    const waiting = new AbortController();
    this.#waiting = waiting;
    const held = () => new Promise<void>((release) => {
      if (waiting.signal.aborted) {
        release();
        return;
      }
      this.#release = release;
      this.#lead();
    });
    // It is refused when the tab stops waiting.
    locks.request(this.#name, { signal: waiting.signal }, held).catch(() => undefined);
  }

  /** Gives up the stream, the lock and the channel. */
  #leave(): void {
    this.#waiting?.abort();
    this.#stream?.close();
    this.#stream = undefined;
    this.#release?.();
    this.#release = undefined;
    this.#channel?.close();
    this.#channel = undefined;
    this.#leader = "";
    if (!this.isClosed()) this.become(Source.CONNECTING);
  }

  #lead(): void {
    const init = { ...this.#init, lastEventId: this.lastEventId };
    delete init.signal;
    const stream = new Leading(this.#url, init, (entry) => this.#pass(entry));
    this.#stream = stream;
    this.#leader = this.#tab;
    this.#ahead.clear();
    this.become(Source.CONNECTING);
    this.#say({ kind: "lead", leader: this.#tab });
    stream.onopen = () => {
      this.#say({ kind: "open", leader: this.#tab });
      this.#opened();
    };
    stream.onerror = ({ failure, status, cause }) => {
      const { readyState } = stream;
      this.#say({ kind: "error", leader: this.#tab, readyState, failure, status });
      this.#failed(readyState, new StreamErrorEvent({ failure, status, cause }));
    };
  }

  #pass(entry: Entry): void {
    this.#say({ kind: "entry", leader: this.#tab, entry });
    this.#take(entry);
  }

  #hear(said: Said): void {
    if (this.isClosed()) return;
    if (said.kind === "join") {
      if (this.#stream) this.#admit(said.tab, said.ids, this.#stream.readyState);
      return;
    }
    // Late, from a tab that led before this one: the replay has it too.
    if (this.#stream) return;
    if (said.kind === "lead") {
      this.become(Source.CONNECTING);
      this.#ask();
    } else if (said.kind === "state") {
      if (said.tab === this.#tab) this.#follow(said);
    } else if (said.leader === this.#leader) {
      if (said.kind === "open") this.#opened();
      if (said.kind === "entry") this.#take(said.entry);
      if (said.kind === "error") this.#failed(said.readyState, new StreamErrorEvent(said));
    }
  }

  /** Asks whoever leads for what this tab lacks. Until the answer, it takes nothing. */
  #ask(): void {
    this.#leader = "";
    this.#say({ kind: "join", tab: this.#tab, ids: this.#recent.ids() });
  }

  /** Answers a tab that joins. */
  #admit(tab: string, ids: string[], readyState: ReadyState): void {
    this.#say({ kind: "state", leader: this.#tab, tab, readyState, ...this.#recent.after(ids) });
  }

  #follow({ leader, readyState, lacks, ahead, reset }: Said & { kind: "state" }): void {
    this.#leader = leader;
    this.#ahead = new Set(ahead);
    if (readyState === Source.OPEN) this.#opened();
    if (reset) this.deliver("reset", JSON.stringify({ reason: "unknown" }), this.lastEventId);
    for (const entry of lacks) this.#take(entry);
  }

  #take(entry: Entry): void {
    if (this.#ahead.has(entry.id)) return;
    this.#ahead.clear();
    this.#recent.add(entry);
    const { event, id } = entry;
    if (event && !this.isClosed()) this.deliver(event.name, event.data, id, event.origin);
  }

  #opened(): void {
    this.become(Source.OPEN);
    this.dispatchEvent(new Event("open"));
  }

  #failed(readyState: ReadyState, event: StreamErrorEvent): void {
    // Refused for good: no other tab is to ask again.
    if (readyState === Source.CLOSED) this.close();
    else this.become(readyState);
    this.dispatchEvent(event);
  }

  #say(said: Said): void {
    this.#channel?.postMessage(said);
  }
}
