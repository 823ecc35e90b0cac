// The parsing of a body.

import assert from "node:assert/strict";
import { test } from "node:test";
import { events } from "actix-web-sse-client";

/** A body in these pieces. It notes whether it was cancelled. */
function body(pieces) {
  const encoder = new TextEncoder();
  const state = { cancelled: false };
  const left = pieces[Symbol.iterator]();
  const readable = new ReadableStream({
    pull(controller) {
      const { done, value } = left.next();
      if (done) controller.close();
      else controller.enqueue(typeof value === "string" ? encoder.encode(value) : value);
    },
    cancel() {
      state.cancelled = true;
    },
  });
  return { readable, state };
}

async function all(pieces, options) {
  const items = [];
  for await (const item of events(body(pieces).readable, options)) items.push(item);
  return items;
}

const event = (data, id = "", name = "message") => ({ kind: "event", event: name, data, id });

test("events, IDs and reconnection times come out in order", async () => {
  const text = "retry: 5\n\nid: 1\nevent: price\ndata: a\ndata: b\n\ndata\n\n: comment\nid: 2\n\nunknown: x\n\ndata: cut";
  assert.deepEqual(await all([text]), [
    { kind: "retry", retry: 5 },
    event("a\nb", "1", "price"),
    event("", "1"),
    { kind: "id", id: "2" },
  ]);
});

test("an id-only block moves the last event ID, an empty one takes it back", async () => {
  assert.deepEqual(await all(["id: 7\n\ndata: x\n\nid:\n\ndata: y\n\n"], { lastEventId: "3" }), [
    { kind: "id", id: "7" },
    event("x", "7"),
    { kind: "id", id: "" },
    event("y", ""),
  ]);
});

test("an ID that no header can carry back is left aside", async () => {
  assert.deepEqual(await all(["id: a\u0001b\ndata: x\n\nid: \t日本\ndata: y\n\n"], { lastEventId: "3" }), [
    event("x", "3"),
    event("y", "\t日本"),
  ]);
});

test("however a body is cut, the events are the same", async () => {
  const bytes = new TextEncoder().encode("\ufeffid: 1\r\ndata: ä日🎈\r\ndata: b\r\rdata:c\n\nevent: e\ndata: d\n\r\n");
  const whole = await all([bytes]);
  assert.deepEqual(whole, [event("ä日🎈\nb", "1"), event("c", "1"), event("d", "1", "e")]);
  for (let at = 0; at <= bytes.length; at += 1) {
    assert.deepEqual(await all([bytes.slice(0, at), bytes.slice(at)]), whole, `cut at ${at}`);
  }
  assert.deepEqual(await all(Array.from(bytes, (byte) => Uint8Array.of(byte))), whole);
});

test("only one byte order mark is taken away", async () => {
  assert.deepEqual(await all(["\ufeffdata: \ufeffx\n\n"]), [event("\ufeffx")]);
  assert.deepEqual(await all(["\ufeff\ufeffdata: x\n\ndata: y\n\n"]), [event("y")]);
});

test("a long line is not scanned again for each piece of it", async () => {
  const piece = "x".repeat(1024);
  const spent = async (pieces) => {
    // The process's own time: others may keep it waiting.
    const start = process.cpuUsage();
    const text = function* () {
      yield "data: ";
      for (let n = 0; n < pieces; n += 1) yield piece;
      yield "\n\n";
    };
    const [only] = await all(text(), { maxEvent: Infinity });
    assert.equal(only.data.length, pieces * 1024);
    return process.cpuUsage(start).user / 1000;
  };
  await spent(1000);
  const [short, long] = [await spent(4000), await spent(16_000)];
  // Linear is 4, rescans are 16.
  assert.ok(long < short * 10, `4 MiB took ${short} ms, 16 MiB took ${long} ms`);
});

test("a line or an event above the bound ends the reading, and the body is cancelled", async () => {
  for (const line of ["x".repeat(64), "data: x\n".repeat(8)]) {
    let pulled = 0;
    const endless = function* () {
      yield "data: before\n\ndata: ";
      for (;;) {
        pulled += 1;
        yield line;
      }
    };
    const { readable, state } = body(endless());
    const seen = [];
    await assert.rejects(async () => {
      for await (const item of events(readable, { maxEvent: 1000 })) seen.push(item);
    }, RangeError);
    assert.deepEqual(seen, [event("before")]);
    assert.ok(state.cancelled);
    assert.ok(pulled < 600, `${pulled} pieces were read`);
  }
});

test("who stops reading cancels the body", async () => {
  const { readable, state } = body(["data: x\n\ndata: y\n\n", "data: z\n\n"]);
  for await (const item of events(readable)) {
    assert.equal(item.data, "x");
    break;
  }
  assert.ok(state.cancelled);
});
