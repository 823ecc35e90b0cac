// How long to wait before the next attempt.

/** Longer than any timer: `setTimeout` fires at once above 2³¹ − 1 ms. */
const LONGEST_TIMER = 2 ** 31 - 1;

/** Between 80 and 120 %, so that a crowd does not come back together. */
export function spread(wait: number): number {
  return wait * (0.8 + 0.4 * Math.random());
}

/** Twice as long after each failure in a row, up to `longest`, spread. */
export function backoff(first: number, failures: number, longest: number): number {
  return spread(Math.min(first * 2 ** Math.max(0, failures - 1), longest));
}

/** A time that a server asked for, up to `longest`. */
export function capped(wait: number, longest: number): number {
  return Math.min(wait, longest, LONGEST_TIMER);
}

/**
 * The milliseconds of a `Retry-After` (RFC 9110 § 10.2.3): seconds or a date; `undefined` if it is
 * neither, or over.
 */
export function retryAfter(value: string | null, now = Date.now()): number | undefined {
  if (value === null) return undefined;
  const text = value.trim();
  const wait = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - now;
  return wait > 0 ? wait : undefined;
}

/** Waits, or until the signal. */
export function sleep(wait: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) {
      resolve();
      return;
    }
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, Math.min(wait, LONGEST_TIMER));
    signal.addEventListener("abort", done, { once: true });
  });
}
