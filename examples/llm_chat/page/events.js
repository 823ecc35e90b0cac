// A reader of event streams for fetch (WHATWG HTML, 9.2.6): what an EventSource does by itself,
// for requests that it cannot make.

/** Yields `{ event, data, id }` for each event of a response's body. */
export async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  let event = "";
  let data = [];
  let id = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      // What is not ended by a blank line is no event.
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
      }
    }
  } finally {
    // Whoever stops reading stops the answer: the server notices, and its producer ends.
    await reader.cancel().catch(() => {});
  }
}

/** The first line and what comes after it; `[null, text]` if it has not ended yet. */
function nextLine(text) {
  const end = /\r\n|\n|\r(?!$)/.exec(text);
  return end ? [text.slice(0, end.index), text.slice(end.index + end[0].length)] : [null, text];
}
