// Parses event streams with eventsource-parser: `node parse.mjs STREAMS EVENTS`.
//
// STREAMS has one line per stream, `{"body": base64, "pieces": [lengths]}`; EVENTS gets one line
// per stream, the events in JSON. It judges nothing: the test compares.
import { readFileSync, writeFileSync } from 'node:fs';
import { createParser } from 'eventsource-parser';

function parse({ body, pieces }) {
  const events = [];
  // The parser hands out what one block says; what stays from block to block (HTML § 9.2.6) is
  // its caller's to keep, as npm's `eventsource` does.
  let lastId = '';
  let retry = null;
  const parser = createParser({
    onEvent({ id, event, data }) {
      lastId = id ?? lastId;
      events.push({ id: lastId, event: event ?? 'message', data, retry });
      retry = null;
    },
    onRetry(value) {
      retry = value;
    },
    onError(error) {
      throw error;
    },
  });
  const bytes = Buffer.from(body, 'base64');
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let at = 0;
  for (const length of pieces) {
    parser.feed(decoder.decode(bytes.subarray(at, at + length), { stream: true }));
    at += length;
  }
  parser.feed(decoder.decode());
  return events;
}

const [streams, events] = process.argv.slice(2);
const lines = readFileSync(streams, 'utf8').trimEnd().split('\n');
const parsed = lines.map((line) => JSON.stringify(parse(JSON.parse(line))));
writeFileSync(events, parsed.join('\n'));
