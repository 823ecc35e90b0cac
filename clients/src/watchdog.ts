// Notices that nothing comes any more. A connection whose other end has gone without a word stays
// open for minutes or hours; only the heartbeats that fail to come say so.

/** What of three heartbeats is waited for: two were due, and the third is not. */
const HEARTBEATS = 2.5;

/** How much longer, of a heartbeat. */
const SECOND_LOOK = 0.1;

/**
 * Calls `onIdle` once, within three heartbeats of the last byte.
 *
 * It looks twice: after a page has slept, or its thread was busy, the timer may come before the bytes
 * that are waiting to be read.
 */
export class Watchdog {
  readonly #heartbeat: number;
  readonly #onIdle: () => void;
  #last = performance.now();
  #suspects = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** @param heartbeat in milliseconds; 0 switches it off */
  constructor(heartbeat: number, onIdle: () => void) {
    this.#heartbeat = heartbeat;
    this.#onIdle = onIdle;
    if (heartbeat > 0) this.#lookIn(heartbeat * HEARTBEATS);
  }

  /** Something came. */
  touch(): void {
    this.#last = performance.now();
    this.#suspects = false;
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #lookIn(wait: number): void {
    this.#timer = setTimeout(() => this.#look(), wait);
  }

  #look(): void {
    const left = this.#heartbeat * HEARTBEATS - (performance.now() - this.#last);
    if (left > 0) {
      this.#lookIn(left);
    } else if (this.#suspects) {
      this.#onIdle();
    } else {
      this.#suspects = true;
      this.#lookIn(this.#heartbeat * SECOND_LOOK);
    }
  }
}
