// Notices that nothing comes any more. A connection whose other end has gone without a word stays
// open for minutes or hours; only the heartbeats that fail to come say so.

/** What of three heartbeats is waited for: two were due, and the third is not. */
const HEARTBEATS = 2.5;

/** How long a page that slept may take to read what came meanwhile. */
const AWAKENING = 1000;

/** Calls `onIdle` once, within three heartbeats of the last byte. */
export class Watchdog {
  readonly #limit: number;
  readonly #onIdle: () => void;
  #last = performance.now();
  #due = 0;
  #awakened = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** @param heartbeat in milliseconds; 0 switches it off */
  constructor(heartbeat: number, onIdle: () => void) {
    this.#limit = heartbeat * HEARTBEATS;
    this.#onIdle = onIdle;
    if (heartbeat > 0) this.#lookIn(this.#limit);
  }

  /** Something came. */
  touch(): void {
    this.#last = performance.now();
    this.#awakened = false;
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #lookIn(wait: number): void {
    this.#due = performance.now() + wait;
    this.#timer = setTimeout(() => this.#look(), wait);
  }

  #look(): void {
    const now = performance.now();
    const silence = now - this.#last;
    if (silence < this.#limit) {
      this.#lookIn(this.#limit - silence);
    } else if (now - this.#due > AWAKENING && !this.#awakened) {
      // The page slept, or its tab was in the background: bytes may wait that nobody has read.
      this.#awakened = true;
      this.#lookIn(AWAKENING);
    } else {
      this.#onIdle();
    }
  }
}
