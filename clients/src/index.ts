// Event streams in browsers and Node. The README has examples of each.

export { events } from "./events.js";
export type { Item, ReadOptions, StreamEvent } from "./events.js";
export { FetchStream } from "./fetch-stream.js";
export type { FetchStreamInit, HeadersSource } from "./fetch-stream.js";
export { LastingEventSource } from "./lasting-event-source.js";
export type { LastingEventSourceInit } from "./lasting-event-source.js";
export { diagnose } from "./report.js";
export type { Diagnosis, ReportOptions, StreamReport } from "./report.js";
export { SharedStream } from "./shared-stream.js";
export type { SharedStreamInit } from "./shared-stream.js";
export { Source, StreamErrorEvent } from "./source.js";
export type { Failure, SourceEventMap } from "./source.js";
export type { UrlSource } from "./url.js";
