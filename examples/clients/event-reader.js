// Reads the body of an event stream (WHATWG HTML § 9.2.6): what an EventSource does by itself, for
// requests that it cannot make.

/**
 * Yields `{ event, data, id }` for each event, and `{ retry }` for each reconnection time.
 * @param id the last event ID of the connection before, which stands until the stream sets another
 */
export async function* events(body, id = "") {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  let event = "";
  let data = [];
  try {
    for (;;) {
      const { done, value } = await reader.read();
      // What no blank line has ended is no event.
      if (done) return;
      rest += value;
      for (let line; ([line, rest] = nextLine(rest)), line !== null;) {
        if (line === "") {
          if (data.length > 0) yield { event: event || "message", data: data.join("\n"), id };
          event = "";
          data = [];
          continue;
        }
        const colon = line.indexOf(":");
        const field = colon < 0 ? line : line.slice(0, colon);
        const text = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
        if (field === "event") event = text;
        if (field === "data") data.push(text);
        if (field === "id" && !text.includes("\0")) id = text;
        if (field === "retry" && /^\d+$/.test(text)) yield { retry: Number(text) };
      }
    }
  } finally {
    // A caller that stops reading ends the request: the server notices, and its producer ends.
    await reader.cancel().catch(() => {});
  }
}

/** The first line and what comes after it; `[null, text]` if it has not ended yet. */
function nextLine(text) {
  // A CR at the very end may be the first half of a CR LF.
  const end = /\r\n|\n|\r(?!$)/.exec(text);
  return end ? [text.slice(0, end.index), text.slice(end.index + end[0].length)] : [null, text];
}
