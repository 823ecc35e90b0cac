// What all sources of events have in common: the interface of an EventSource.

/** Why a connection failed or ended. */
export type Failure =
  /** The stream came to its end. */
  | "ended"
  /** Nothing answered, or the connection broke, or CORS forbids. */
  | "network"
  /** Nothing came for longer than the heartbeats allow. */
  | "idle"
  /** The server answered with a status other than 200. */
  | "refused"
  /** The reply is no event stream. */
  | "content_type"
  /** An event was longer than `maxEvent`. */
  | "overflow"
  /** A function of the page threw: the one for the URL, the headers or the body. */
  | "caller"
  /** The browser's `EventSource` gave up, and does not say why. */
  | "gave_up";

/** What an `error` event says beside its type. */
export interface ErrorDetail {
  failure: Failure;
  status?: number | undefined;
  cause?: unknown;
}

/** An `error` event that knows more than that of an `EventSource`. */
export class StreamErrorEvent extends Event {
  readonly failure: Failure;
  /** The status of the reply, if there was one. */
  readonly status: number | undefined;
  /** What was thrown, if something was. */
  readonly cause: unknown;

  constructor({ failure, status, cause }: ErrorDetail) {
    super("error");
    this.failure = failure;
    this.status = status;
    this.cause = cause;
  }
}

/** The events that every source dispatches. Others are `MessageEvent`s named by the server. */
export interface SourceEventMap {
  open: Event;
  error: StreamErrorEvent;
  message: MessageEvent<string>;
}

type Handler<E> = ((event: E) => unknown) | null;

const CONNECTING = 0;
const OPEN = 1;
const CLOSED = 2;

/** What {@link Source.readyState} says. */
export type ReadyState = typeof CONNECTING | typeof OPEN | typeof CLOSED;

/**
 * A source of events with the interface of an `EventSource`.
 *
 * An event that the *server* has named `error` or `open` is dispatched as `event:error` or
 * `event:open`, so that `onerror` and `onopen` are about the connection and nothing else.
 */
export abstract class Source extends EventTarget {
  static readonly CONNECTING = CONNECTING;
  static readonly OPEN = OPEN;
  static readonly CLOSED = CLOSED;
  readonly CONNECTING = CONNECTING;
  readonly OPEN = OPEN;
  readonly CLOSED = CLOSED;

  #readyState: ReadyState = CONNECTING;
  #handlers = new Map<string, EventListener>();

  /** `CONNECTING`, `OPEN` or `CLOSED`. */
  get readyState(): ReadyState {
    return this.#readyState;
  }

  get onopen(): Handler<Event> {
    return this.#handler("open");
  }

  set onopen(handler: Handler<Event>) {
    this.#handle("open", handler);
  }

  get onmessage(): Handler<MessageEvent<string>> {
    return this.#handler("message");
  }

  set onmessage(handler: Handler<MessageEvent<string>>) {
    this.#handle("message", handler);
  }

  get onerror(): Handler<StreamErrorEvent> {
    return this.#handler("error");
  }

  set onerror(handler: Handler<StreamErrorEvent>) {
    this.#handle("error", handler);
  }

  /** Ends the stream for good. No event is dispatched afterwards. */
  abstract close(): void;

  override addEventListener<K extends keyof SourceEventMap>(
    type: K,
    listener: ((event: SourceEventMap[K]) => unknown) | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
  override addEventListener(
    type: string,
    listener: ((event: MessageEvent<string>) => unknown) | EventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
  override addEventListener(
    type: string,
    listener: unknown,
    options?: boolean | AddEventListenerOptions,
  ): void {
    super.addEventListener(type, listener as EventListener, options);
    this.onListener(type);
  }

  override removeEventListener<K extends keyof SourceEventMap>(
    type: K,
    listener: ((event: SourceEventMap[K]) => unknown) | null,
    options?: boolean | EventListenerOptions,
  ): void;
  override removeEventListener(
    type: string,
    listener: ((event: MessageEvent<string>) => unknown) | EventListenerObject | null,
    options?: boolean | EventListenerOptions,
  ): void;
  override removeEventListener(
    type: string,
    listener: unknown,
    options?: boolean | EventListenerOptions,
  ): void {
    super.removeEventListener(type, listener as EventListener, options);
  }

  /** Somebody listens for this type of event. */
  protected onListener(_type: string): void {
    // Nothing: most sources dispatch all that comes.
  }

  protected become(state: ReadyState): void {
    this.#readyState = state;
  }

  /** Whether it has been closed, by whoever. A getter would be narrowed by the compiler. */
  protected isClosed(): boolean {
    return this.#readyState === CLOSED;
  }

  /** Dispatches an event of the server's. */
  protected deliver(name: string, data: string, lastEventId: string, origin = ""): void {
    this.dispatchEvent(new MessageEvent(carried(name), { data, lastEventId, origin }));
  }

  #handler<E>(type: string): Handler<E> {
    return (this.#handlers.get(type) as Handler<E> | undefined) ?? null;
  }

  #handle<E>(type: string, handler: Handler<E>): void {
    const before = this.#handlers.get(type);
    if (before) super.removeEventListener(type, before);
    this.#handlers.delete(type);
    if (typeof handler !== "function") return;
    this.#handlers.set(type, handler as EventListener);
    super.addEventListener(type, handler as EventListener);
  }
}

/** The type under which an event of the server's is dispatched. */
export function carried(name: string): string {
  return name === "error" || name === "open" ? `event:${name}` : name;
}
