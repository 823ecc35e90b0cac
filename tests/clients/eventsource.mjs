// npm's `eventsource`: `node eventsource.mjs URL`. What happens to it comes out in lines of JSON.
import { EventSource } from 'eventsource';

const say = (entry) => process.stdout.write(`${JSON.stringify(entry)}\n`);

const source = new EventSource(process.argv[2]);
source.onopen = () => say({ kind: 'open' });
source.onerror = ({ message, code }) => {
  if (source.readyState === EventSource.CLOSED) say({ kind: 'gave_up', why: `${code}` });
  else if (message === undefined) say({ kind: 'ended' });
  else say({ kind: 'failed', why: message });
};
for (const name of ['message', 'reset', 'anchor']) {
  source.addEventListener(name, ({ type, lastEventId, data }) => {
    say({ kind: 'event', name: type, id: lastEventId, data });
  });
}
