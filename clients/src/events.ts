// Reads the body of an event stream (WHATWG HTML § 9.2.6): what an EventSource does by itself, for
// requests that it cannot make. The lines are eventsource-parser's work.

import { createParser, type ParseError } from "eventsource-parser";

/** An event. */
export interface StreamEvent {
  kind: "event";
  /** `message` where the stream names none. */
  event: string;
  data: string;
  /** The last event ID as of this event, whether this block set it or an earlier one. */
  id: string;
}

/** What a stream says: an event, an ID that comes without one, or a reconnection time. */
export type Item =
  | StreamEvent
  | { kind: "id"; id: string }
  | { kind: "retry"; retry: number };

/** How a body is read. */
export interface ReadOptions {
  /** The last event ID of the connection before. It stands until the stream sets another. */
  lastEventId?: string;
  /**
   * The longest line or event that is kept, in UTF-16 code units; a longer one throws a
   * `RangeError`. Default 1 MiB, sixteen times what the hub publishes by default.
   */
  maxEvent?: number;
  /** Ends the reading, also of a body that does not know of it. */
  signal?: AbortSignal;
  /** Called for each piece of the body, comments included. */
  onBytes?: () => void;
}

const MAX_EVENT = 1024 * 1024;

/**
 * Yields what the body says, until its end. What no blank line has ended is no event.
 *
 * A caller that stops reading cancels the body: the server notices, and its producer ends.
 */
export async function* events(
  body: ReadableStream<Uint8Array>,
  { lastEventId = "", maxEvent = MAX_EVENT, signal, onBytes }: ReadOptions = {},
): AsyncGenerator<Item, void, undefined> {
  let id = lastEventId;
  let items: Item[] = [];
  let overflow: { cause?: ParseError } | undefined;
  const parser = createParser({
    maxBufferSize: maxEvent,
    onId(value) {
      // A header cannot carry it back, so it is no place to resume from.
      if (isControlled(value)) return;
      id = value;
      items.push({ kind: "id", id });
    },
    onEvent({ event, data, id: own }) {
      // The event says its ID itself.
      if (own !== undefined && items.at(-1)?.kind === "id") items.pop();
      // The parser counts only what it keeps from piece to piece.
      if (overflow || data.length > maxEvent) {
        overflow ??= {};
        return;
      }
      items.push({ kind: "event", event: event ?? "message", data, id });
    },
    onRetry(retry) {
      items.push({ kind: "retry", retry });
    },
    onError(error) {
      // Fields that nobody knows are ignored, as the standard says.
      if (error.type === "max-buffer-size-exceeded") overflow = { cause: error };
    },
  });
  // The parser takes the byte order mark away, once.
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  const reader = body.getReader();
  const cancel = () => reader.cancel().catch(() => undefined);
  const leave = () => void cancel();
  signal?.addEventListener("abort", leave, { once: true });
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      onBytes?.();
      parser.feed(decoder.decode(value, { stream: true }));
      const ready = items;
      items = [];
      yield* ready;
      if (overflow) throw new RangeError(`an event of the stream is longer than ${maxEvent}`, overflow);
    }
  } finally {
    signal?.removeEventListener("abort", leave);
    await cancel();
  }
}

/** Has control characters other than a tab, which no HTTP field may have (RFC 9110 § 5.5). */
function isControlled(id: string): boolean {
  // eslint-disable-next-line no-control-regex -- they are what is looked for
  return /[\0-\x08\x0a-\x1f\x7f]/.test(id);
}
