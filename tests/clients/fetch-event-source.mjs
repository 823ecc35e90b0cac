// @microsoft/fetch-event-source: `node fetch-event-source.mjs URL [AUTHORIZATION]`. What happens
// to it comes out in lines of JSON.
import fetchEventSourceModule from '@microsoft/fetch-event-source';

const say = (entry) => process.stdout.write(`${JSON.stringify(entry)}\n`);

// It is written for pages: the timers and the visibility that it asks for are a page's.
globalThis.window = globalThis;
globalThis.document = { hidden: false, addEventListener() {}, removeEventListener() {} };

const [url, authorization] = process.argv.slice(2);
let ended = false;
await fetchEventSourceModule.fetchEventSource(url, {
  openWhenHidden: true,
  headers: authorization === undefined ? {} : { authorization },
  onmessage({ event, id, data }) {
    say({ kind: 'event', name: event || 'message', id, data });
  },
  onclose() {
    // Facts B10: left alone, it takes a clean end for the end of everything and stops without a
    // word. An error thrown here is what its documentation offers for coming back.
    ended = true;
    throw new Error('the stream ended');
  },
  onerror(error) {
    say(ended ? { kind: 'ended' } : { kind: 'failed', why: error.message });
    ended = false;
  },
});
