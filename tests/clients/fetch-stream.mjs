// This project's own FetchStream: `node fetch-stream.mjs URL [AUTHORIZATION]`. What happens to it
// comes out in lines of JSON.
import { FetchStream } from '../../clients/bundle/sse-client.js';

const say = (entry) => process.stdout.write(`${JSON.stringify(entry)}\n`);

const [url, authorization] = process.argv.slice(2);
const source = new FetchStream(url, { headers: authorization === undefined ? {} : { authorization } });
source.onopen = () => say({ kind: 'open' });
source.onerror = ({ failure, status }) => {
  if (source.readyState === FetchStream.CLOSED) say({ kind: 'gave_up', why: `${failure} ${status}` });
  else if (failure === 'ended') say({ kind: 'ended' });
  else say({ kind: 'failed', why: `${failure} ${status}` });
};
for (const name of ['message', 'reset', 'anchor']) {
  source.addEventListener(name, ({ type, lastEventId, data }) => {
    say({ kind: 'event', name: type, id: lastEventId, data });
  });
}
