/** Why an `EventSource` gave up. */
export type Diagnosis =
  /** A reply that the browser's CORS check refused to the page: the application's, or a proxy's error page. */
  | 'unreadable'
  /** The page's own content security policy forbids the connection. */
  | 'csp_blocked'
  /** The server answered with a status other than 200. */
  | 'http_status'
  /** The reply is no event stream. */
  | 'content_type'
  /** Nothing answered, or what went wrong was over when the script looked. */
  | 'network';

/**
 * Reports to `reportTo` when `source` ends in CLOSED after an error. Returns `source`.
 *
 * Call it before the first event of `source` can arrive, that is, right after its construction.
 */
export function watch<T extends EventSource>(source: T, reportTo: string | URL): T;

/** Asks the server with `HEAD` why a stream at this URL cannot be had; sends no report. */
export function diagnose(source: { url: string; withCredentials: boolean }): Promise<Diagnosis>;
