// Says why a stream was not had: to the server by a beacon, to a tool for monitoring by a callback.

/** Why a stream was not had; the words that `Metrics::reports` of the server takes. */
export type Diagnosis =
  /** A reply that the browser's CORS check refused to the page: the application's, or a proxy's error page. */
  | "unreadable"
  /** The page's own content security policy forbids the connection. */
  | "csp_blocked"
  /** The server answered with a status other than 200. */
  | "http_status"
  /** The reply is no event stream. */
  | "content_type"
  /** Nothing answered, or what went wrong was over when the script looked. */
  | "network";

/** What a callback gets. */
export interface StreamReport {
  diagnosis: Diagnosis;
  /** The stream's URL without query and fragment, where tickets stand. */
  url: string;
  /** The status of the reply, if it is known. */
  status?: number;
  /** Whether the source gave up, or will try again. */
  final: boolean;
}

/** Who is told why a stream was not had. */
export interface ReportOptions {
  /** Where `Metrics::reports` is mounted: gets the diagnosis by `navigator.sendBeacon`. */
  beacon?: string | URL;
  /** For Sentry, Faro, OpenTelemetry or a log. */
  callback?: (report: StreamReport) => void;
}

/** How a stream is asked for. */
export interface Asked {
  url: string | URL;
  credentials: RequestCredentials;
  /** What authenticates the request, if it is no cookie. */
  headers?: HeadersInit;
  fetch?: typeof fetch;
}

/** What is known of a failure before anything is asked. */
export interface Known {
  status?: number | undefined;
  diagnosis?: Diagnosis | undefined;
  final: boolean;
}

/** Reports one failure, and asks the server for the reason if it is not known. */
export async function report(options: ReportOptions, asked: Asked, known: Known): Promise<void> {
  const diagnosis = known.diagnosis ?? (await diagnose(asked));
  const { origin, pathname } = new URL(asked.url);
  const said: StreamReport = { diagnosis, url: `${origin}${pathname}`, final: known.final };
  if (known.status !== undefined) said.status = known.status;
  if (options.beacon !== undefined) globalThis.navigator?.sendBeacon?.(options.beacon, diagnosis);
  options.callback?.(said);
}

/**
 * Asks the server with `HEAD` why a stream at this URL cannot be had; `HEAD` opens no stream and
 * uses up no ticket.
 */
export async function diagnose({ url, credentials, headers, fetch: ask = fetch }: Asked): Promise<Diagnosis> {
  const head = (mode: RequestMode) => {
    // Without CORS a page may send hardly any header.
    const sent = new Headers(mode === "cors" ? headers : undefined);
    sent.set("Accept", "text/event-stream");
    return ask(url, { method: "HEAD", mode, credentials, cache: "no-store", headers: sent });
  };
  const page = typeof document === "undefined" ? undefined : document;
  let blocked = false;
  const violation = ({ blockedURI }: SecurityPolicyViolationEvent) => {
    blocked ||= String(url).startsWith(blockedURI);
  };
  page?.addEventListener("securitypolicyviolation", violation);
  try {
    const { status, headers } = await head("cors");
    if (status !== 200) return "http_status";
    return isEventStream(headers) ? "network" : "content_type";
  } catch {
    // Only a browser keeps a reply from its page. Whether the application answered or a proxy, the
    // application knows.
    if (page && (await head("no-cors").catch(() => null))) return "unreadable";
    // The violation's event comes late.
    if (page) await new Promise((done) => setTimeout(done, 50));
    return blocked ? "csp_blocked" : "network";
  } finally {
    page?.removeEventListener("securitypolicyviolation", violation);
  }
}

/** Whether these are the headers of an event stream. */
export function isEventStream(headers: Headers): boolean {
  return /^\s*text\/event-stream\s*(;|$)/i.test(headers.get("Content-Type") ?? "");
}
