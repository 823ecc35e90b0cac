// A connection whose other end is gone without a word, over a real network that is cut.

import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { FetchStream } from "actix-web-sse-client";
import { namespace } from "./tools/namespace.mjs";
import { closing, until, watch } from "./tools/server.mjs";

const HEARTBEAT = 3000;

test("a half-open connection is noticed within three heartbeats, and the stream resumes", async (t) => {
  const net = namespace(t);
  const script = fileURLToPath(new URL("tools/beating-server.mjs", import.meta.url));
  const port = (await net.run(script, net.address, String(HEARTBEAT))).trim();
  const source = closing(t, new FetchStream(`http://${net.address}:${port}/`, { heartbeat: HEARTBEAT, retry: 100, longestRetry: 500 }));
  const seen = watch(source);
  await until("an event", () => seen.length === 2);
  const beats = (count) => new Promise((later) => setTimeout(later, count * HEARTBEAT));
  // It outlives more silence of events than that.
  await beats(3.5);
  assert.deepEqual(seen, ["open", "message hello 1"]);

  net.cut();
  // Three heartbeats by timers of this process, of which the source has two as well: a busy machine holds up both alike.
  await beats(2.5);
  await beats(0.5);
  assert.equal(seen[2], "error 0 idle");

  net.mend();
  await until("it resumes", () => seen.includes("message hello 2"));
  assert.equal(source.readyState, FetchStream.OPEN);
});
