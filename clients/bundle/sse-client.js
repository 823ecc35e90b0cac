// actix-web-sse-client, MIT OR Apache-2.0. Built from clients/src by clients/build.mjs: do not edit.
// It contains eventsource-parser:
// MIT License
//
// Copyright (c) 2026 Espen Hovlandsdal <espen@hovlandsdal.com>
//
// Permission is hereby granted, free of charge, to any person obtaining a copy
// of this software and associated documentation files (the "Software"), to deal
// in the Software without restriction, including without limitation the rights
// to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
// copies of the Software, and to permit persons to whom the Software is
// furnished to do so, subject to the following conditions:
//
// The above copyright notice and this permission notice shall be included in all
// copies or substantial portions of the Software.
//
// THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
// IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
// FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
// AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
// LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
// OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
// SOFTWARE.

// node_modules/eventsource-parser/dist/errors.js
var ParseError = class extends Error {
  constructor(message, options) {
    super(message);
    this.name = "ParseError";
    this.type = options.type;
    this.field = options.field;
    this.value = options.value;
    this.line = options.line;
  }
};

// node_modules/eventsource-parser/dist/parse.js
var LF = 10;
var CR = 13;
var SPACE = 32;
var MAX_FIELD_PREFIX_LENGTH = 6;
function createParser(config) {
  if (typeof config === "function") {
    throw new TypeError("`config` must be an object, got a function instead. Did you mean `createParser({onEvent: fn})`?");
  }
  const { maxBufferSize, onComment, onError, onEvent, onId, onRetry } = config;
  const pendingFragments = [];
  let pendingFragmentsLength = 0;
  let bomPrefix = "";
  let id;
  let data = "";
  let dataLines = 0;
  let eventType;
  let terminated = false;
  let skippingLine = false;
  let skipNextLineFeed = false;
  function feed(chunk) {
    if (terminated) {
      throw new Error("Cannot feed parser: it was terminated after exceeding the configured max buffer size. Call `reset()` to resume parsing.");
    }
    if (bomPrefix !== void 0) {
      chunk = bomPrefix + chunk;
      if (chunk === "" || chunk === "\xEF" || chunk === "\xEF\xBB") {
        bomPrefix = chunk;
        return;
      }
      bomPrefix = void 0;
      chunk = chunk.replace(/^(?:\uFEFF|\xEF\xBB\xBF)/, "");
    }
    if (skippingLine || skipNextLineFeed) {
      chunk = resumeAfterSkip(chunk);
      if (!chunk) {
        return;
      }
    }
    if (!pendingFragments.length) {
      const trailing = processLines(chunk);
      if (trailing !== "") {
        storeTrailing(trailing);
      }
      checkForBufferOverflow();
      return;
    }
    if (chunk.indexOf("\n") === -1 && chunk.indexOf("\r") === -1) {
      if (pendingFragmentsLength < MAX_FIELD_PREFIX_LENGTH) {
        const head = pendingFragments.join("") + chunk.slice(0, MAX_FIELD_PREFIX_LENGTH - pendingFragmentsLength);
        if (!shouldBufferTrailing(head)) {
          pendingFragments.length = 0;
          pendingFragmentsLength = 0;
          skippingLine = true;
          return;
        }
      }
      pendingFragments.push(chunk);
      pendingFragmentsLength += chunk.length;
      checkForBufferOverflow();
      return;
    }
    pendingFragments.push(chunk);
    const input = pendingFragments.join("");
    pendingFragments.length = 0;
    pendingFragmentsLength = 0;
    storeTrailing(processLines(input));
    checkForBufferOverflow();
  }
  function resumeAfterSkip(chunk) {
    if (chunk.length === 0) {
      return chunk;
    }
    if (skipNextLineFeed) {
      skipNextLineFeed = false;
      return chunk.charCodeAt(0) === LF ? chunk.slice(1) : chunk;
    }
    const crIndex = chunk.indexOf("\r");
    const lfIndex = chunk.indexOf("\n");
    const lineEnd = crIndex === -1 ? lfIndex : lfIndex === -1 ? crIndex : crIndex < lfIndex ? crIndex : lfIndex;
    if (lineEnd === -1) {
      return "";
    }
    if (lineEnd === chunk.length - 1 && chunk.charCodeAt(lineEnd) === CR) {
      skippingLine = false;
      skipNextLineFeed = true;
      return "";
    }
    skippingLine = false;
    return chunk.slice(lineEnd + (chunk.charCodeAt(lineEnd) === CR && chunk.charCodeAt(lineEnd + 1) === LF ? 2 : 1));
  }
  function storeTrailing(trailing) {
    if (!trailing)
      return;
    if (trailing.charCodeAt(trailing.length - 1) === CR) {
      parseLine(trailing, 0, trailing.length - 1);
      if (checkForBufferOverflow())
        return;
      skipNextLineFeed = true;
      return;
    }
    if (shouldBufferTrailing(trailing)) {
      pendingFragments.push(trailing);
      pendingFragmentsLength = trailing.length;
      return;
    }
    skippingLine = true;
  }
  function shouldBufferTrailing(trailing) {
    const firstCharCode = trailing.charCodeAt(0);
    return firstCharCode === 58 && !!onComment || firstCharCode === 100 && isPotentialField(trailing, "data") || firstCharCode === 101 && isPotentialField(trailing, "event") || firstCharCode === 105 && isPotentialField(trailing, "id") || firstCharCode === 114 && isPotentialField(trailing, "retry");
  }
  function checkForBufferOverflow() {
    if (terminated)
      return true;
    if (maxBufferSize === void 0)
      return false;
    if (pendingFragmentsLength + data.length <= maxBufferSize)
      return false;
    terminated = true;
    pendingFragments.length = 0;
    pendingFragmentsLength = 0;
    id = void 0;
    data = "";
    dataLines = 0;
    eventType = void 0;
    skippingLine = false;
    skipNextLineFeed = false;
    onError === null || onError === void 0 ? void 0 : onError(new ParseError(`Buffered data exceeded max buffer size of ${maxBufferSize} characters`, {
      type: "max-buffer-size-exceeded"
    }));
    return true;
  }
  function processLines(chunk) {
    let searchIndex = 0;
    if (chunk.indexOf("\r") === -1) {
      let lfIndex2 = chunk.indexOf("\n", searchIndex);
      while (lfIndex2 !== -1) {
        if (searchIndex === lfIndex2) {
          if (id !== void 0) {
            onId === null || onId === void 0 ? void 0 : onId(id);
          }
          if (dataLines > 0) {
            onEvent === null || onEvent === void 0 ? void 0 : onEvent({ id, event: eventType, data });
          }
          id = void 0;
          data = "";
          dataLines = 0;
          eventType = void 0;
          searchIndex = lfIndex2 + 1;
          lfIndex2 = chunk.indexOf("\n", searchIndex);
          continue;
        }
        const firstCharCode = chunk.charCodeAt(searchIndex);
        if (isDataPrefix(chunk, searchIndex, firstCharCode)) {
          const valueStart = chunk.charCodeAt(searchIndex + 5) === SPACE ? searchIndex + 6 : searchIndex + 5;
          const value = chunk.slice(valueStart, lfIndex2);
          if (dataLines === 0 && chunk.charCodeAt(lfIndex2 + 1) === LF) {
            if (id !== void 0) {
              onId === null || onId === void 0 ? void 0 : onId(id);
            }
            onEvent === null || onEvent === void 0 ? void 0 : onEvent({ id, event: eventType, data: value });
            id = void 0;
            data = "";
            eventType = void 0;
            searchIndex = lfIndex2 + 2;
            lfIndex2 = chunk.indexOf("\n", searchIndex);
            continue;
          }
          data = dataLines === 0 ? value : `${data}
${value}`;
          dataLines++;
        } else if (isEventPrefix(chunk, searchIndex, firstCharCode)) {
          eventType = chunk.slice(chunk.charCodeAt(searchIndex + 6) === SPACE ? searchIndex + 7 : searchIndex + 6, lfIndex2) || void 0;
        } else {
          parseLine(chunk, searchIndex, lfIndex2);
        }
        if (checkForBufferOverflow())
          return "";
        searchIndex = lfIndex2 + 1;
        lfIndex2 = chunk.indexOf("\n", searchIndex);
      }
      return chunk.slice(searchIndex);
    }
    let crIndex = chunk.indexOf("\r", searchIndex);
    let lfIndex = chunk.indexOf("\n", searchIndex);
    while (searchIndex < chunk.length) {
      let lineEnd = -1;
      if (crIndex !== -1 && lfIndex !== -1) {
        lineEnd = crIndex < lfIndex ? crIndex : lfIndex;
      } else if (crIndex !== -1) {
        if (crIndex === chunk.length - 1) {
          lineEnd = -1;
        } else {
          lineEnd = crIndex;
        }
      } else if (lfIndex !== -1) {
        lineEnd = lfIndex;
      }
      if (lineEnd === -1) {
        break;
      }
      parseLine(chunk, searchIndex, lineEnd);
      if (checkForBufferOverflow())
        return "";
      searchIndex = lineEnd + 1;
      if (chunk.charCodeAt(searchIndex - 1) === CR && chunk.charCodeAt(searchIndex) === LF) {
        searchIndex++;
      }
      if (crIndex !== -1 && crIndex < searchIndex) {
        crIndex = chunk.indexOf("\r", searchIndex);
      }
      if (lfIndex !== -1 && lfIndex < searchIndex) {
        lfIndex = chunk.indexOf("\n", searchIndex);
      }
    }
    return chunk.slice(searchIndex);
  }
  function parseLine(chunk, start, end) {
    if (start === end) {
      dispatchEvent();
      return;
    }
    const firstCharCode = chunk.charCodeAt(start);
    if (isDataPrefix(chunk, start, firstCharCode)) {
      const valueStart = chunk.charCodeAt(start + 5) === SPACE ? start + 6 : start + 5;
      const value2 = chunk.slice(valueStart, end);
      data = dataLines === 0 ? value2 : `${data}
${value2}`;
      dataLines++;
      return;
    }
    if (isEventPrefix(chunk, start, firstCharCode)) {
      eventType = chunk.slice(chunk.charCodeAt(start + 6) === SPACE ? start + 7 : start + 6, end) || void 0;
      return;
    }
    if (firstCharCode === 105 && chunk.charCodeAt(start + 1) === 100 && chunk.charCodeAt(start + 2) === 58) {
      const value2 = chunk.slice(chunk.charCodeAt(start + 3) === SPACE ? start + 4 : start + 3, end);
      if (!value2.includes("\0"))
        id = value2;
      return;
    }
    if (firstCharCode === 58) {
      if (onComment) {
        const line2 = chunk.slice(start, end);
        onComment(line2.slice(chunk.charCodeAt(start + 1) === SPACE ? 2 : 1));
      }
      return;
    }
    const line = chunk.slice(start, end);
    const fieldSeparatorIndex = line.indexOf(":");
    if (fieldSeparatorIndex === -1) {
      processField(line, "", line);
      return;
    }
    const field = line.slice(0, fieldSeparatorIndex);
    const offset = line.charCodeAt(fieldSeparatorIndex + 1) === SPACE ? 2 : 1;
    const value = line.slice(fieldSeparatorIndex + offset);
    processField(field, value, line);
  }
  function processField(field, value, line) {
    switch (field) {
      case "event":
        eventType = value || void 0;
        break;
      case "data":
        data = dataLines === 0 ? value : `${data}
${value}`;
        dataLines++;
        break;
      case "id":
        if (!value.includes("\0"))
          id = value;
        break;
      case "retry":
        if (/^\d+$/.test(value)) {
          onRetry === null || onRetry === void 0 ? void 0 : onRetry(parseInt(value, 10));
        } else {
          onError === null || onError === void 0 ? void 0 : onError(new ParseError(`Invalid \`retry\` value: "${value}"`, {
            type: "invalid-retry",
            value,
            line
          }));
        }
        break;
      default:
        onError === null || onError === void 0 ? void 0 : onError(new ParseError(`Unknown field "${field.length > 20 ? `${field.slice(0, 20)}\u2026` : field}"`, { type: "unknown-field", field, value, line }));
        break;
    }
  }
  function dispatchEvent() {
    if (id !== void 0) {
      onId === null || onId === void 0 ? void 0 : onId(id);
    }
    if (dataLines > 0) {
      onEvent === null || onEvent === void 0 ? void 0 : onEvent({
        id,
        event: eventType,
        data
      });
    }
    id = void 0;
    data = "";
    dataLines = 0;
    eventType = void 0;
  }
  function reset(options = {}) {
    if (options.consume && pendingFragments.length > 0) {
      const incompleteLine = pendingFragments.join("");
      parseLine(incompleteLine, 0, incompleteLine.length);
    }
    bomPrefix = "";
    id = void 0;
    data = "";
    dataLines = 0;
    eventType = void 0;
    pendingFragments.length = 0;
    pendingFragmentsLength = 0;
    terminated = false;
    skippingLine = false;
    skipNextLineFeed = false;
  }
  return { feed, reset };
}
function isDataPrefix(chunk, i, firstCharCode) {
  return firstCharCode === 100 && chunk.charCodeAt(i + 1) === 97 && chunk.charCodeAt(i + 2) === 116 && chunk.charCodeAt(i + 3) === 97 && chunk.charCodeAt(i + 4) === 58;
}
function isEventPrefix(chunk, i, firstCharCode) {
  return firstCharCode === 101 && chunk.charCodeAt(i + 1) === 118 && chunk.charCodeAt(i + 2) === 101 && chunk.charCodeAt(i + 3) === 110 && chunk.charCodeAt(i + 4) === 116 && chunk.charCodeAt(i + 5) === 58;
}
function isPotentialField(line, field) {
  let i = 1;
  while (i < line.length && i < field.length) {
    if (line.charCodeAt(i) !== field.charCodeAt(i)) {
      return false;
    }
    i++;
  }
  return line.length <= field.length || line.charCodeAt(field.length) === 58;
}

// src/events.ts
var MAX_EVENT = 1024 * 1024;
async function* events(body, { lastEventId = "", maxEvent = MAX_EVENT, signal, onBytes } = {}) {
  let id = lastEventId;
  let items = [];
  let overflow;
  const parser = createParser({
    maxBufferSize: maxEvent,
    onId(value) {
      if (isControlled(value)) return;
      id = value;
      items.push({ kind: "id", id });
    },
    onEvent({ event, data, id: own }) {
      if (own !== void 0 && items.at(-1)?.kind === "id") items.pop();
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
      if (error.type === "max-buffer-size-exceeded") overflow = { cause: error };
    }
  });
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  const reader = body.getReader();
  const cancel = () => reader.cancel().catch(() => void 0);
  const leave = () => void cancel();
  signal?.addEventListener("abort", leave, { once: true });
  try {
    for (; ; ) {
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
function isControlled(id) {
  return /[\0-\x08\x0a-\x1f\x7f]/.test(id);
}

// src/report.ts
async function report(options, asked, known) {
  const diagnosis = known.diagnosis ?? await diagnose(asked);
  const { origin, pathname } = new URL(asked.url);
  const said = { diagnosis, url: `${origin}${pathname}`, final: known.final };
  if (known.status !== void 0) said.status = known.status;
  if (options.beacon !== void 0) globalThis.navigator?.sendBeacon?.(options.beacon, diagnosis);
  options.callback?.(said);
}
async function diagnose({ url, credentials, headers, fetch: ask = fetch }) {
  const head = (mode) => {
    const sent = new Headers(mode === "cors" ? headers : void 0);
    sent.set("Accept", "text/event-stream");
    return ask(url, { method: "HEAD", mode, credentials, cache: "no-store", headers: sent });
  };
  const page = typeof document === "undefined" ? void 0 : document;
  let blocked = false;
  const violation = ({ blockedURI }) => {
    blocked ||= String(url).startsWith(blockedURI);
  };
  page?.addEventListener("securitypolicyviolation", violation);
  try {
    const { status, headers: headers2 } = await head("cors");
    if (status !== 200) return "http_status";
    return isEventStream(headers2) ? "network" : "content_type";
  } catch {
    if (page && await head("no-cors").catch(() => null)) return "unreadable";
    if (page) await new Promise((done) => setTimeout(done, 50));
    return blocked ? "csp_blocked" : "network";
  } finally {
    page?.removeEventListener("securitypolicyviolation", violation);
  }
}
function isEventStream(headers) {
  return /^\s*text\/event-stream\s*(;|$)/i.test(headers.get("Content-Type") ?? "");
}

// src/source.ts
var StreamErrorEvent = class extends Event {
  failure;
  /** The status of the reply, if there was one. */
  status;
  /** What was thrown, if something was. */
  cause;
  constructor({ failure, status, cause }) {
    super("error");
    this.failure = failure;
    this.status = status;
    this.cause = cause;
  }
};
var CONNECTING = 0;
var OPEN = 1;
var CLOSED = 2;
var Source = class extends EventTarget {
  static CONNECTING = CONNECTING;
  static OPEN = OPEN;
  static CLOSED = CLOSED;
  CONNECTING = CONNECTING;
  OPEN = OPEN;
  CLOSED = CLOSED;
  #readyState = CONNECTING;
  #handlers = /* @__PURE__ */ new Map();
  /** `CONNECTING`, `OPEN` or `CLOSED`. */
  get readyState() {
    return this.#readyState;
  }
  get onopen() {
    return this.#handler("open");
  }
  set onopen(handler) {
    this.#handle("open", handler);
  }
  get onmessage() {
    return this.#handler("message");
  }
  set onmessage(handler) {
    this.#handle("message", handler);
  }
  get onerror() {
    return this.#handler("error");
  }
  set onerror(handler) {
    this.#handle("error", handler);
  }
  addEventListener(type, listener, options) {
    super.addEventListener(type, listener, options);
    this.onListener(type);
  }
  removeEventListener(type, listener, options) {
    super.removeEventListener(type, listener, options);
  }
  /** Somebody listens for this type of event. */
  onListener(_type) {
  }
  become(state) {
    this.#readyState = state;
  }
  /** Whether it has been closed, by whoever. A getter would be narrowed by the compiler. */
  isClosed() {
    return this.#readyState === CLOSED;
  }
  /** Dispatches an event of the server's. */
  deliver(name, data, lastEventId, origin = "") {
    this.dispatchEvent(new MessageEvent(carried(name), { data, lastEventId, origin }));
  }
  #handler(type) {
    return this.#handlers.get(type) ?? null;
  }
  #handle(type, handler) {
    const before = this.#handlers.get(type);
    if (before) super.removeEventListener(type, before);
    this.#handlers.delete(type);
    if (typeof handler !== "function") return;
    this.#handlers.set(type, handler);
    super.addEventListener(type, handler);
  }
};
function carried(name) {
  return name === "error" || name === "open" ? `event:${name}` : name;
}

// src/url.ts
async function nextUrl(url) {
  const next = typeof url === "function" ? await url() : url;
  return new URL(next, globalThis.location?.href);
}
function knownUrl(url) {
  if (typeof url === "function") return "";
  return new URL(url, globalThis.location?.href).href;
}

// src/wait.ts
var LONGEST_TIMER = 2 ** 31 - 1;
function spread(wait) {
  return wait * (0.8 + 0.4 * Math.random());
}
function backoff(first, failures, longest) {
  return spread(Math.min(first * 2 ** Math.max(0, failures - 1), longest));
}
function capped(wait, longest) {
  return Math.min(wait, longest, LONGEST_TIMER);
}
function retryAfter(value, now = Date.now()) {
  if (value === null) return void 0;
  const text = value.trim();
  const wait = /^\d+$/.test(text) ? Number(text) * 1e3 : Date.parse(text) - now;
  return wait > 0 ? wait : void 0;
}
function sleep(wait, signal) {
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

// src/watchdog.ts
var HEARTBEATS = 2.5;
var SECOND_LOOK = 0.1;
var Watchdog = class {
  #heartbeat;
  #onIdle;
  #last = performance.now();
  #suspects = false;
  #timer;
  /** @param heartbeat in milliseconds; 0 switches it off */
  constructor(heartbeat, onIdle) {
    this.#heartbeat = heartbeat;
    this.#onIdle = onIdle;
    if (heartbeat > 0) this.#lookIn(heartbeat * HEARTBEATS);
  }
  /** Something came. */
  touch() {
    this.#last = performance.now();
    this.#suspects = false;
  }
  stop() {
    clearTimeout(this.#timer);
  }
  #lookIn(wait) {
    this.#timer = setTimeout(() => this.#look(), wait);
  }
  #look() {
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
};

// src/fetch-stream.ts
var NOT_NOW = /* @__PURE__ */ new Set([425, 429, 503]);
var isPassing = (status) => NOT_NOW.has(status) || status === 408 || status >= 500;
var FetchStream = class extends Source {
  #url;
  #init;
  #credentials;
  #reconnect;
  #leave = new AbortController();
  #closeOnAbort = () => this.close();
  #known;
  #lastEventId;
  #retry;
  #failures = 0;
  /** This attempt has opened a stream. */
  #served = false;
  /** This row of failures has been reported. */
  #reported = false;
  /** What the page has this attempt send. */
  #sent;
  /**
   * Opens the stream, after the listeners have been added.
   *
   * When a function of `url` or `init` throws, the stream is closed and the error is the `cause` of
   * its last `error` event; `fetch`'s own `TypeError` is a failure of the network and is tried again.
   */
  constructor(url, init = {}) {
    super();
    this.#known = knownUrl(url);
    this.#url = url;
    this.#init = init;
    this.#credentials = init.withCredentials ? "include" : init.credentials ?? "same-origin";
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
  get url() {
    return this.#known;
  }
  get withCredentials() {
    return this.#credentials === "include";
  }
  /** The last event ID: what the next attempt resumes from. */
  get lastEventId() {
    return this.#lastEventId;
  }
  close() {
    this.become(Source.CLOSED);
    this.#init.signal?.removeEventListener("abort", this.#closeOnAbort);
    this.#leave.abort();
  }
  async #run() {
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
  async #attempt(attempt) {
    const leave = () => attempt.abort();
    this.#leave.signal.addEventListener("abort", leave, { once: true });
    this.#served = false;
    let idle = false;
    const watchdog = new Watchdog(this.#init.heartbeat ?? 15e3, () => {
      idle = true;
      attempt.abort();
    });
    try {
      const request = await this.#request(attempt.signal).catch((cause) => ({ cause }));
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
  async #request(signal) {
    const { headers, body, method = "GET" } = this.#init;
    this.#known = (await nextUrl(this.#url)).href;
    const sent = new Headers(typeof headers === "function" ? await headers() : headers);
    this.#sent = new Headers(sent);
    if (!sent.has("Accept")) sent.set("Accept", "text/event-stream");
    if (this.#lastEventId) sent.set("Last-Event-ID", asBytes(this.#lastEventId));
    const request = {
      method,
      headers: sent,
      credentials: this.#credentials,
      cache: "no-store",
      signal
    };
    if (body !== void 0) request.body = typeof body === "function" ? await body() : body;
    return request;
  }
  /** Reads a reply to its end. */
  async #read(reply, watchdog, signal) {
    const { status, headers, body, url } = reply;
    if (status !== 200 || !isEventStream(headers) || !body) {
      body?.cancel().catch(() => void 0);
      return this.#refused(status, headers);
    }
    watchdog.touch();
    if (!this.isClosed()) this.#opened();
    const { maxEvent } = this.#init;
    const { origin } = new URL(url || this.#known);
    const reading = { lastEventId: this.#lastEventId, signal, onBytes: () => watchdog.touch() };
    for await (const item of events(body, maxEvent === void 0 ? reading : { ...reading, maxEvent })) {
      if (this.isClosed()) break;
      if (item.kind === "retry") {
        this.#retry = capped(item.retry, this.#init.longestRetryAfter ?? 3e5);
        continue;
      }
      this.#lastEventId = item.id;
      if (item.kind === "event") this.deliver(item.event, item.data, item.id, origin);
      else this.onLastEventId(item.id);
    }
    const wait = this.#retry ?? spread(this.#init.retry ?? 3e3);
    return { failure: "ended", wait: this.#reconnect ? wait : "never" };
  }
  /** An ID came without an event. For who builds on this. */
  onLastEventId(_id) {
  }
  #opened() {
    this.#failures = 0;
    this.#served = true;
    this.#reported = false;
    this.become(Source.OPEN);
    this.dispatchEvent(new Event("open"));
  }
  #refused(status, headers) {
    if (status === 200) return this.#over({ failure: "content_type", status });
    const detail = { failure: "refused", status };
    if (!isPassing(status)) return this.#over(detail);
    const asked = retryAfter(headers.get("Retry-After"));
    const outcome = this.#failed(detail, this.#reconnect || NOT_NOW.has(status));
    if (asked !== void 0 && outcome.wait !== "never") {
      outcome.wait = capped(asked, this.#init.longestRetryAfter ?? 3e5) * (1 + 0.2 * Math.random());
    }
    return outcome;
  }
  /** A failure that may pass. */
  #failed(detail, again = this.#reconnect) {
    this.#failures += 1;
    const first = this.#retry ?? this.#init.retry ?? 3e3;
    const wait = backoff(first, this.#failures, this.#init.longestRetry ?? 6e4);
    return { ...detail, wait: again ? wait : "never" };
  }
  /** A failure that will not. */
  #over(detail) {
    return { ...detail, wait: "never" };
  }
  #report({ failure, status, wait }) {
    const { report: options, fetch: ask } = this.#init;
    const final = wait === "never";
    const was = { refused: "http_status", content_type: "content_type", idle: "network" };
    if (!options || !this.#known || !(failure in was || failure === "network")) return;
    if (!final && (this.#served || this.#reported)) return;
    this.#reported = true;
    const asked = {
      url: this.#known,
      credentials: this.#credentials,
      ...ask && { fetch: ask },
      ...this.#sent && { headers: this.#sent }
    };
    void report(options, asked, { status, diagnosis: was[failure], final });
  }
};
function asBytes(text) {
  return Array.from(new TextEncoder().encode(text), (byte) => String.fromCharCode(byte)).join("");
}
function aborted(signal) {
  return new Promise((_, fail) => {
    signal.addEventListener("abort", () => fail(new DOMException("The attempt was given up.", "AbortError")), { once: true });
  });
}

// src/lasting-event-source.ts
var LastingEventSource = class extends Source {
  #next;
  #init;
  #closeOnAbort = () => this.close();
  #names = /* @__PURE__ */ new Set(["message"]);
  #source;
  #lastEventId;
  #failures = 0;
  #timer;
  /**
   * Opens the stream, after the listeners have been added.
   *
   * A function in place of the URL is called for each new `EventSource`. When it throws, the stream
   * is closed and the error is the `cause` of its last `error` event; `fetch`'s own `TypeError` is a
   * failure of the network and is tried again.
   */
  constructor(url, init = {}) {
    super();
    this.#next = url;
    this.#init = init;
    this.#lastEventId = init.lastEventId ?? "";
    if (init.signal?.aborted) {
      this.close();
      return;
    }
    init.signal?.addEventListener("abort", this.#closeOnAbort, { once: true });
    queueMicrotask(() => void this.#open());
  }
  /** The URL of the newest `EventSource`; empty before the first. */
  get url() {
    return this.#source?.url ?? "";
  }
  get withCredentials() {
    return this.#init.withCredentials ?? false;
  }
  get lastEventId() {
    return this.#lastEventId;
  }
  /** A browser's source hands out only what somebody listens for. */
  onListener(name) {
    const own = ["open", "error", "event:open", "event:error"];
    if (this.#names.has(name) || own.includes(name)) return;
    this.#names.add(name);
    if (this.#source) this.#relay(this.#source, name);
  }
  close() {
    this.become(Source.CLOSED);
    this.#init.signal?.removeEventListener("abort", this.#closeOnAbort);
    clearTimeout(this.#timer);
    this.#source?.close();
  }
  async #open() {
    let url;
    try {
      url = await nextUrl(this.#next);
    } catch (cause) {
      if (this.isClosed()) return;
      const network = cause instanceof TypeError;
      this.#gaveUp({ failure: network ? "network" : "caller", cause }, network);
      return;
    }
    if (this.isClosed()) return;
    if (this.#lastEventId) url.searchParams.set("lastEventId", this.#lastEventId);
    const source = new EventSource(url, { withCredentials: this.withCredentials });
    this.#source = source;
    for (const name of this.#names) this.#relay(source, name);
    source.addEventListener("anchor", (event) => {
      this.#lastEventId = event.lastEventId;
    });
    source.addEventListener("open", (event) => {
      if (this.#isMessage(event)) return;
      this.#failures = 0;
      this.become(Source.OPEN);
      this.dispatchEvent(new Event("open"));
    });
    source.addEventListener("error", (event) => {
      if (this.#isMessage(event) || this.isClosed()) return;
      if (source.readyState === EventSource.CLOSED) {
        this.#report(source);
        this.#gaveUp({ failure: "gave_up" }, true);
      } else {
        this.become(Source.CONNECTING);
        this.dispatchEvent(new StreamErrorEvent({ failure: "network" }));
      }
    });
  }
  #gaveUp(detail, again) {
    if (again) this.become(Source.CONNECTING);
    else this.close();
    this.dispatchEvent(new StreamErrorEvent(detail));
    if (!again || this.isClosed()) return;
    this.#failures += 1;
    const { retry = 1e3, longestRetry = 6e4 } = this.#init;
    this.#timer = setTimeout(() => void this.#open(), backoff(retry, this.#failures, longestRetry));
  }
  #report({ url, withCredentials }) {
    if (!this.#init.report) return;
    const credentials = withCredentials ? "include" : "same-origin";
    void report(this.#init.report, { url, credentials }, { final: false });
  }
  #relay(source, name) {
    source.addEventListener(name, (event) => this.#pass(event));
  }
  #isMessage(event) {
    if (!(event instanceof MessageEvent)) return false;
    this.#pass(event);
    return true;
  }
  #pass({ type, data, lastEventId, origin }) {
    if (this.isClosed()) return;
    this.#lastEventId = lastEventId;
    this.deliver(type, data, lastEventId, origin);
  }
};

// src/recent.ts
var ENTRIES = 256;
var Recent = class {
  #entries = [];
  constructor(lastEventId) {
    if (lastEventId) this.#entries.push({ id: lastEventId });
  }
  get lastEventId() {
    return this.#entries.at(-1)?.id ?? "";
  }
  add(entry) {
    this.#entries.push(entry);
    if (this.#entries.length > ENTRIES) this.#entries.shift();
  }
  /** The IDs, oldest first, each once in a row. */
  ids() {
    const all = this.#entries.map(({ id }) => id);
    return all.filter((id, at) => id !== "" && id !== all[at - 1]);
  }
  /**
   * What a tab that has seen these IDs lacks, and which of them are newer than all that is known
   * here. `reset` if none is known: events may be missing.
   */
  after(ids) {
    for (let at = ids.length - 1; at >= 0; at -= 1) {
      const known = this.#entries.findLastIndex(({ id }) => id === ids[at]);
      if (known >= 0) return { lacks: this.#entries.slice(known + 1), ahead: ids.slice(at + 1), reset: false };
    }
    const here = this.lastEventId ? [{ id: this.lastEventId }] : [];
    return { lacks: here, ahead: [], reset: ids.length > 0 && here.length > 0 };
  }
};

// src/shared-stream.ts
var Leading = class extends FetchStream {
  #pass;
  constructor(url, init, pass) {
    super(url, init);
    this.#pass = pass;
  }
  deliver(name, data, id, origin = "") {
    this.#pass({ id, event: { name, data, origin } });
  }
  onLastEventId(id) {
    this.#pass({ id });
  }
};
var SharedStream = class extends Source {
  #url;
  #init;
  #name;
  #tab = `${Date.now()}-${Math.random()}`;
  #recent;
  #closeOnAbort = () => this.close();
  #suspend = () => this.#leave();
  #resume = ({ persisted }) => {
    if (persisted && !this.isClosed()) this.#join();
  };
  #channel;
  #waiting;
  #stream;
  #release;
  /** The leader that this tab is in step with. */
  #leader = "";
  #ahead = /* @__PURE__ */ new Set();
  /** Opens the stream if no other tab has it, after the listeners have been added. */
  constructor(url, init = {}) {
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
    globalThis.addEventListener?.("pagehide", this.#suspend);
    globalThis.addEventListener?.("pageshow", this.#resume);
    queueMicrotask(() => this.#join());
  }
  /** The URL of the stream; empty where another tab's function makes it. */
  get url() {
    return this.#stream?.url ?? knownUrl(this.#url);
  }
  get withCredentials() {
    return this.#init.withCredentials ?? this.#init.credentials === "include";
  }
  /** The last event ID that this tab has seen. */
  get lastEventId() {
    return this.#recent.lastEventId;
  }
  /** Whether this tab has the stream. */
  get leads() {
    return this.#stream !== void 0;
  }
  close() {
    this.become(Source.CLOSED);
    this.#init.signal?.removeEventListener("abort", this.#closeOnAbort);
    globalThis.removeEventListener?.("pagehide", this.#suspend);
    globalThis.removeEventListener?.("pageshow", this.#resume);
    this.#leave();
  }
  #join() {
    if (this.isClosed() || this.#channel || this.#stream) return;
    const locks = globalThis.navigator?.locks;
    if (!locks || typeof BroadcastChannel === "undefined") {
      this.#lead();
      return;
    }
    this.#channel = new BroadcastChannel(this.#name);
    this.#channel.onmessage = ({ data }) => this.#hear(data);
    this.#ask();
    const waiting = new AbortController();
    this.#waiting = waiting;
    const held = () => new Promise((release) => {
      if (waiting.signal.aborted) {
        release();
        return;
      }
      this.#release = release;
      this.#lead();
    });
    locks.request(this.#name, { signal: waiting.signal }, held).catch(() => void 0);
  }
  /** Gives up the stream, the lock and the channel. */
  #leave() {
    this.#waiting?.abort();
    this.#stream?.close();
    this.#stream = void 0;
    this.#release?.();
    this.#release = void 0;
    this.#channel?.close();
    this.#channel = void 0;
    this.#leader = "";
    if (!this.isClosed()) this.become(Source.CONNECTING);
  }
  #lead() {
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
  #pass(entry) {
    this.#say({ kind: "entry", leader: this.#tab, entry });
    this.#take(entry);
  }
  #hear(said) {
    if (this.isClosed()) return;
    if (said.kind === "join") {
      if (this.#stream) this.#admit(said.tab, said.ids, this.#stream.readyState);
      return;
    }
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
  #ask() {
    this.#leader = "";
    this.#say({ kind: "join", tab: this.#tab, ids: this.#recent.ids() });
  }
  /** Answers a tab that joins. */
  #admit(tab, ids, readyState) {
    this.#say({ kind: "state", leader: this.#tab, tab, readyState, ...this.#recent.after(ids) });
  }
  #follow({ leader, readyState, lacks, ahead, reset }) {
    this.#leader = leader;
    this.#ahead = new Set(ahead);
    if (readyState === Source.OPEN) this.#opened();
    if (reset) this.deliver("reset", JSON.stringify({ reason: "unknown" }), this.lastEventId);
    for (const entry of lacks) this.#take(entry);
  }
  #take(entry) {
    if (this.#ahead.has(entry.id)) return;
    this.#ahead.clear();
    this.#recent.add(entry);
    const { event, id } = entry;
    if (event && !this.isClosed()) this.deliver(event.name, event.data, id, event.origin);
  }
  #opened() {
    this.become(Source.OPEN);
    this.dispatchEvent(new Event("open"));
  }
  #failed(readyState, event) {
    if (readyState === Source.CLOSED) this.close();
    else this.become(readyState);
    this.dispatchEvent(event);
  }
  #say(said) {
    this.#channel?.postMessage(said);
  }
};
export {
  FetchStream,
  LastingEventSource,
  SharedStream,
  Source,
  StreamErrorEvent,
  diagnose,
  events
};
