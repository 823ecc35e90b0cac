// `node beating-server.mjs ADDRESS HEARTBEAT`: streams with an event at the start, numbered on from
// `Last-Event-ID`, and heartbeats in between. It prints its port.

import { createServer } from "node:http";

const [address, heartbeat] = process.argv.slice(2);
const server = createServer((request, reply) => {
  const next = Number(request.headers["last-event-id"] ?? 0) + 1;
  reply.writeHead(200, { "Content-Type": "text/event-stream" });
  reply.write(`retry: 100\n\nid: ${next}\ndata: hello\n\n`);
  const beat = setInterval(() => reply.write(":\n"), Number(heartbeat));
  reply.on("close", () => clearInterval(beat));
});
server.listen(0, address, () => console.log(server.address().port));
