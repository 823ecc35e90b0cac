// W06: the official MCP client against examples/mcp, through its policy: `node --test mcp.test.mjs`
// after `cargo build --manifest-path examples/mcp/Cargo.toml --target-dir target`.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { connect, createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';

const LIMIT = 60_000;
const PROGRAM = fileURLToPath(new URL('../../target/debug/mcp_server', import.meta.url));

async function until(what, condition) {
  const end = Date.now() + LIMIT;
  while (!condition()) {
    if (Date.now() > end) throw new Error(`${LIMIT} ms are over: ${what}`);
    await new Promise((later) => setTimeout(later, 20));
  }
}

/** Starts the server on a free port until the test ends; its port. */
async function serve(t, ...args) {
  assert.ok(existsSync(PROGRAM), `${PROGRAM} is missing; tests/run builds it`);
  const server = spawn(PROGRAM, ['127.0.0.1:0', ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(async () => {
    if (server.exitCode !== null) return;
    server.kill('SIGTERM');
    await once(server, 'exit');
  });
  for await (const line of createInterface({ input: server.stdout })) {
    return { server, port: Number(/:(\d+)\/mcp$/.exec(line)[1]) };
  }
  throw new Error('the server printed no address');
}

/** A wire to a port that can be cut, and that keeps what clients sent. */
async function wire(t, port) {
  const sockets = new Set();
  const sent = [];
  const relay = createServer((near) => {
    const far = connect(port, '127.0.0.1');
    for (const [from, to] of [[near, far], [far, near]]) {
      sockets.add(from);
      from.on('error', () => to.destroy()).on('close', () => {
        sockets.delete(from);
        to.destroy();
      });
      from.pipe(to);
    }
    near.on('data', (bytes) => sent.push(bytes.toString('latin1')));
  });
  await new Promise((listening) => relay.listen(0, '127.0.0.1', listening));
  t.after(() => {
    relay.close();
    for (const socket of sockets) socket.destroy();
  });
  return {
    url: new URL(`http://127.0.0.1:${relay.address().port}/mcp`),
    sent: () => sent.join(''),
    cut: () => {
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** A connected client. */
async function client(t, url) {
  const transport = new StreamableHTTPClientTransport(url, {
    reconnectionOptions: { initialReconnectionDelay: 50, maxReconnectionDelay: 500, reconnectionDelayGrowFactor: 1.5, maxRetries: 20 },
  });
  const mcp = new Client({ name: 'test', version: '1' });
  await mcp.connect(transport);
  t.after(() => mcp.close().catch(() => {}));
  return { mcp, transport };
}

/** One request with these headers, to the end of the reply's head. */
function ask(port, method, headers) {
  return new Promise((done, failed) => {
    const request = httpRequest({ host: '127.0.0.1', port, path: '/mcp', method, headers }, (reply) => {
      let body = '';
      const type = reply.headers['content-type'] ?? '';
      const finish = () => {
        done({ status: reply.statusCode, headers: reply.headers, body });
        request.destroy();
      };
      if (type.startsWith('text/event-stream')) finish();
      else reply.setEncoding('utf8').on('data', (text) => (body += text)).on('end', finish);
    });
    request.on('error', failed).end();
  });
}

test('w06 the client initializes, lists and calls tools, and ends its session', async (t) => {
  const { port } = await serve(t);
  const relay = await wire(t, port);
  const { mcp, transport } = await client(t, relay.url);
  const { tools } = await mcp.listTools();
  assert.deepEqual(tools.map(({ name }) => name).sort(), ['count_down', 'publish']);

  // A tool publishes, and a stream of the same server gets it.
  const leave = new AbortController();
  t.after(() => leave.abort());
  const stream = await fetch(`http://127.0.0.1:${port}/events?topic=news`, { headers: { Accept: 'text/event-stream' }, signal: leave.signal });
  const published = await mcp.callTool({ name: 'publish', arguments: { topic: 'news', data: 'from a tool' } });
  const id = published.content[0].text;
  let text = '';
  const decoder = new TextDecoder();
  for await (const bytes of stream.body) {
    text += decoder.decode(bytes, { stream: true });
    if (text.includes('from a tool')) break;
  }
  assert.ok(text.includes(`id: ${id}\n`), text);

  // The session's own stream, by GET, and its end, by DELETE.
  await until('the client opens its GET stream', () => /GET \/mcp HTTP/.test(relay.sent()));
  const session = transport.sessionId;
  assert.ok(session);
  await transport.terminateSession();
  assert.match(relay.sent(), /DELETE \/mcp HTTP/);
  assert.match(relay.sent(), /^mcp-protocol-version: /im);
  const after = await ask(port, 'GET', { Accept: 'text/event-stream', 'Mcp-Session-Id': session });
  assert.equal(after.status, 404);
});

test('w06 progress streams, and a cut in the middle is resumed by Last-Event-ID', async (t) => {
  const { port } = await serve(t);
  const relay = await wire(t, port);
  const { mcp } = await client(t, relay.url);
  const progress = [];
  const answer = mcp.callTool({ name: 'count_down', arguments: { from: 60 } }, undefined, {
    onprogress: (step) => progress.push(step.progress),
    timeout: LIMIT,
  });
  await until('some progress', () => progress.length >= 5);
  relay.cut();
  const { content } = await answer;
  assert.equal(content[0].text, 'lift-off');
  // rmcp sends the event that the client names once more.
  const steps = progress.filter((step, at) => step !== progress[at - 1]);
  assert.deepEqual(steps, Array.from({ length: 60 }, (_, at) => at + 1));
  assert.match(relay.sent(), /^last-event-id: \S+/im);
});

test('w06 a foreign Origin is 403 for every method, and no session begins', async (t) => {
  const { port } = await serve(t);
  const both = { Accept: 'application/json, text/event-stream' };
  for (const method of ['GET', 'POST', 'DELETE']) {
    const refused = await ask(port, method, { ...both, Origin: 'https://evil.example' });
    assert.equal(refused.status, 403, method);
    assert.equal(JSON.parse(refused.body).error, 'origin_denied');
  }
  const rebound = await ask(port, 'POST', { ...both, Host: 'evil.example' });
  assert.equal(rebound.status, 421);
  const put = await ask(port, 'PUT', both);
  assert.equal(put.status, 405);
  assert.equal(put.headers.allow, 'GET, POST, DELETE, OPTIONS');
});

test('w06 without sessions GET and DELETE are 405, and the client goes on', async (t) => {
  const { port } = await serve(t, '--stateless');
  const relay = await wire(t, port);
  for (const method of ['GET', 'DELETE']) {
    const refused = await ask(port, method, { Accept: 'text/event-stream', 'Mcp-Session-Id': '1' });
    assert.equal(refused.status, 405, method);
    assert.equal(refused.headers.allow, 'POST, OPTIONS');
  }
  const { mcp, transport } = await client(t, relay.url);
  assert.equal(transport.sessionId, undefined);
  const published = await mcp.callTool({ name: 'publish', arguments: { topic: 'news', data: 'x' } });
  assert.notEqual(published.content[0].text, '');
});

test('w06 SIGTERM ends sessions and their streams', async (t) => {
  const { server, port } = await serve(t);
  const relay = await wire(t, port);
  await client(t, relay.url);
  await until('the client opens its GET stream', () => /GET \/mcp HTTP/.test(relay.sent()));
  server.kill('SIGTERM');
  const [code] = await once(server, 'exit');
  assert.equal(code, 0);
});
