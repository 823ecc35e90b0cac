// Event streams of Node frameworks: `node servers.mjs NAME PORT ORIGIN`.
//
// Each serves /events and /idle to pages of ORIGIN, with cookies, by the framework's usual CORS middleware, and /private
// without any. An idle stream sends nothing for 4 s. Written as the frameworks' own documentation does it.

import { createServer } from "node:http";
import { PassThrough, Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";

const [name, portText, origin] = process.argv.slice(2);
const port = Number(portText);
const cors = { origin, credentials: true };
const HEAD = { "Content-Type": "text/event-stream", "Cache-Control": "no-cache" };

async function* lines(idle) {
  if (idle) await sleep(4000);
  for (let n = 1; ; n += 1) {
    yield `id: ${n}\ndata: ${n}\n\n`;
    await sleep(500);
  }
}

const allowed = { "Access-Control-Allow-Origin": origin, "Access-Control-Allow-Credentials": "true", Vary: "Origin" };

async function write(response, idle) {
  let open = true;
  response.on("close", () => (open = false));
  for await (const line of lines(idle)) {
    if (!open) return;
    response.write(line);
  }
}

const servers = {
  // No framework at all.
  node() {
    createServer((request, response) => {
      response.writeHead(200, { ...HEAD, ...(request.url === "/private" ? {} : allowed) });
      response.flushHeaders();
      write(response, request.url === "/idle");
    }).listen(port, "127.0.0.1");
  },

  async express() {
    const { default: express } = await import("express");
    const { default: middleware } = await import("cors");
    const app = express();
    const events = (request, response) => {
      response.set(HEAD).flushHeaders();
      write(response, request.path === "/idle");
    };
    app.get("/private", events);
    app.use(middleware(cors));
    app.get(["/events", "/idle"], events);
    app.listen(port, "127.0.0.1");
  },

  async "better-sse"() {
    const { default: express } = await import("express");
    const { default: middleware } = await import("cors");
    const { createSession } = await import("better-sse");
    const app = express();
    const events = async (request, response) => {
      const session = await createSession(request, response);
      if (request.path === "/idle") await sleep(4000);
      for (let n = 1; session.isConnected; n += 1) {
        session.push(String(n), "message", String(n));
        await sleep(500);
      }
    };
    app.get("/private", events);
    app.use(middleware(cors));
    app.get(["/events", "/idle"], events);
    app.listen(port, "127.0.0.1");
  },

  async fastify() {
    const { default: Fastify } = await import("fastify");
    const { default: plugin } = await import("@fastify/cors");
    const app = Fastify();
    const events = (request, reply) => reply.headers(HEAD).send(Readable.from(lines(request.url === "/idle")));
    app.get("/private", events);
    await app.register(async (scope) => {
      await scope.register(plugin, cors);
      scope.get("/events", events);
      scope.get("/idle", events);
    });
    await app.listen({ port, host: "127.0.0.1" });
  },

  async hono() {
    const { Hono } = await import("hono");
    const { cors: middleware } = await import("hono/cors");
    const { streamSSE } = await import("hono/streaming");
    const { serve } = await import("@hono/node-server");
    const app = new Hono();
    const events = (context) =>
      streamSSE(context, async (stream) => {
        if (context.req.path === "/idle") await stream.sleep(4000);
        for (let n = 1; !stream.aborted; n += 1) {
          await stream.writeSSE({ id: String(n), data: String(n) });
          await stream.sleep(500);
        }
      });
    app.get("/private", events);
    app.use(middleware(cors));
    app.get("/events", events);
    app.get("/idle", events);
    serve({ fetch: app.fetch, port, hostname: "127.0.0.1" });
  },

  async nest() {
    await import("reflect-metadata");
    const { Controller, Module, Sse } = await import("@nestjs/common");
    const { NestFactory } = await import("@nestjs/core");
    const { interval, map, delay } = await import("rxjs");
    // Decorators, applied by hand: Node runs this file as it is.
    class Streams {
      events() {
        return interval(500).pipe(map((n) => ({ id: String(n), data: String(n) })));
      }
      idle() {
        return this.events().pipe(delay(4000));
      }
      private() {
        return this.events();
      }
    }
    for (const path of ["events", "idle", "private"]) {
      Sse(path)(Streams.prototype, path, Object.getOwnPropertyDescriptor(Streams.prototype, path));
    }
    Controller()(Streams);
    class App {}
    Module({ controllers: [Streams] })(App);
    const app = await NestFactory.create(App, { logger: false });
    const { default: middleware } = await import("cors");
    const withCors = middleware(cors);
    app.use((request, response, next) => (request.path === "/private" ? next() : withCors(request, response, next)));
    await app.listen(port, "127.0.0.1");
  },

  async koa() {
    const { default: Koa } = await import("koa");
    const { default: middleware } = await import("@koa/cors");
    const app = new Koa();
    const withCors = middleware({ origin: () => origin, credentials: true });
    app.use((context, next) => (context.path === "/private" ? next() : withCors(context, next)));
    app.use((context) => {
      const body = new PassThrough();
      context.set(HEAD);
      context.body = body;
      context.flushHeaders();
      write(body, context.path === "/idle");
    });
    app.listen(port, "127.0.0.1");
  },

  async h3() {
    const { createApp, createEventStream, createRouter, defineEventHandler, handleCors, toNodeListener } = await import("h3");
    const app = createApp();
    const events = defineEventHandler(async (event) => {
      if (event.path !== "/private") handleCors(event, { ...cors, origin: [origin] });
      const stream = createEventStream(event);
      (async () => {
        if (event.path === "/idle") await sleep(4000);
        for (let n = 1; ; n += 1) {
          await stream.push({ id: String(n), data: String(n) });
          await sleep(500);
        }
      })().catch(() => {});
      return stream.send();
    });
    const router = createRouter();
    for (const path of ["/events", "/idle", "/private"]) router.get(path, events);
    app.use(router);
    createServer(toNodeListener(app)).listen(port, "127.0.0.1");
  },
};

await servers[name]();
