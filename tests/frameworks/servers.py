"""Event streams of Python frameworks: `servers.py NAME PORT ORIGIN`.

Each serves /events and /idle to pages of ORIGIN, with cookies, by the framework's usual CORS middleware, and /private without any.
An idle stream sends nothing for 4 s. Written as the frameworks' own documentation does it.
"""

import asyncio
import sys
import time

NAME, PORT, ORIGIN = sys.argv[1], int(sys.argv[2]), sys.argv[3]
HEADERS = {"Cache-Control": "no-cache"}


async def numbers(idle=False):
    if idle:
        await asyncio.sleep(4)
    n = 0
    while True:
        n += 1
        yield n
        await asyncio.sleep(0.5)


async def lines(idle=False):
    async for n in numbers(idle):
        yield f"id: {n}\ndata: {n}\n\n"


def asgi(app):
    import uvicorn

    uvicorn.run(app, host="127.0.0.1", port=PORT, log_level="warning", timeout_graceful_shutdown=1)


def starlette_cors(app, streams):
    """CORS for everything but /private, which is mounted beside."""
    from starlette.applications import Starlette
    from starlette.middleware.cors import CORSMiddleware
    from starlette.routing import Mount, Route

    cors = CORSMiddleware(app, allow_origins=[ORIGIN], allow_credentials=True, allow_headers=["authorization"])
    return Starlette(routes=[Route("/private", streams), Mount("/", cors)])


def sse_starlette():
    from sse_starlette import EventSourceResponse
    from starlette.applications import Starlette
    from starlette.routing import Route

    async def events(request):
        async def publish():
            async for n in numbers(request.url.path == "/idle"):
                yield {"id": str(n), "data": str(n)}

        return EventSourceResponse(publish(), ping=1)

    app = Starlette(routes=[Route("/events", events), Route("/idle", events)])
    asgi(starlette_cors(app, events))


def fastapi():
    from fastapi import FastAPI, Request
    from fastapi.responses import StreamingResponse

    app = FastAPI()

    async def events(request: Request):
        body = lines(request.url.path == "/idle")
        return StreamingResponse(body, media_type="text/event-stream", headers=HEADERS)

    app.get("/events")(events)
    app.get("/idle")(events)
    asgi(starlette_cors(app, events))


def django():
    import django
    from django.conf import settings
    from django.core.asgi import get_asgi_application
    from django.http import StreamingHttpResponse
    from django.urls import path

    settings.configure(
        ALLOWED_HOSTS=["*"],
        SECRET_KEY="x",
        ROOT_URLCONF=__name__,
        INSTALLED_APPS=["corsheaders"],
        MIDDLEWARE=["corsheaders.middleware.CorsMiddleware", "django.middleware.common.CommonMiddleware"],
        CORS_ALLOWED_ORIGINS=[ORIGIN],
        CORS_ALLOW_CREDENTIALS=True,
        CORS_URLS_REGEX=r"^/(events|idle)$",
    )
    django.setup()

    async def events(request):
        body = lines(request.path == "/idle")
        return StreamingHttpResponse(body, content_type="text/event-stream", headers=HEADERS)

    globals()["urlpatterns"] = [path(name, events) for name in ("events", "idle", "private")]
    asgi(get_asgi_application())


def aiohttp_sse():
    from aiohttp import web
    from aiohttp_sse import sse_response

    async def events(request):
        headers = {}
        if request.path != "/private":
            headers = {"Access-Control-Allow-Origin": ORIGIN, "Access-Control-Allow-Credentials": "true"}
        async with sse_response(request, headers=headers) as response:
            async for n in numbers(request.path == "/idle"):
                await response.send(str(n), id=str(n))
        return response

    app = web.Application()
    for name in ("/events", "/idle", "/private"):
        app.router.add_get(name, events)
    web.run_app(app, host="127.0.0.1", port=PORT, print=None)


def flask():
    from flask import Flask, Response, request
    from flask_cors import CORS

    app = Flask(__name__)
    CORS(app, resources={r"/(events|idle)": {"origins": [ORIGIN]}}, supports_credentials=True)

    def stream(idle):
        if idle:
            time.sleep(4)
        n = 0
        while True:
            n += 1
            yield f"id: {n}\ndata: {n}\n\n"
            time.sleep(0.5)

    def events():
        return Response(stream(request.path == "/idle"), mimetype="text/event-stream", headers=HEADERS)

    for name in ("events", "idle", "private"):
        app.add_url_rule(f"/{name}", name, events)
    app.run(host="127.0.0.1", port=PORT, threaded=True)


def tornado():
    import tornado.ioloop
    import tornado.iostream
    import tornado.web

    class Events(tornado.web.RequestHandler):
        async def get(self):
            self.set_header("Content-Type", "text/event-stream")
            self.set_header("Cache-Control", "no-cache")
            if self.request.path != "/private":
                self.set_header("Access-Control-Allow-Origin", ORIGIN)
                self.set_header("Access-Control-Allow-Credentials", "true")
            try:
                await self.flush()
                async for line in lines(self.request.path == "/idle"):
                    self.write(line)
                    await self.flush()
            except tornado.iostream.StreamClosedError:
                pass

    async def main():
        tornado.web.Application([(r"/(?:events|idle|private)", Events)]).listen(PORT, "127.0.0.1")
        await asyncio.Event().wait()

    asyncio.run(main())


def sanic():
    from sanic import Sanic

    app = Sanic("streams")

    async def events(request):
        headers = dict(HEADERS)
        if request.path != "/private":
            headers |= {"Access-Control-Allow-Origin": ORIGIN, "Access-Control-Allow-Credentials": "true"}
        response = await request.respond(content_type="text/event-stream; charset=utf-8", headers=headers)
        async for line in lines(request.path == "/idle"):
            await response.send(line)

    for name in ("events", "idle", "private"):
        app.add_route(events, f"/{name}", name=name)
    app.run(host="127.0.0.1", port=PORT, single_process=True, access_log=False, motd=False)


def mcp():
    """An MCP server: POST /mcp answers with a stream."""
    from mcp.server import MCPServer
    from mcp.server.transport_security import TransportSecuritySettings
    from starlette.middleware.cors import CORSMiddleware

    security = TransportSecuritySettings(
        enable_dns_rebinding_protection=True, allowed_hosts=["127.0.0.1:*"], allowed_origins=[ORIGIN]
    )
    app = MCPServer("streams").streamable_http_app(transport_security=security)
    asgi(CORSMiddleware(app, allow_origins=[ORIGIN], allow_methods=["GET", "POST", "DELETE"], allow_headers=["*"]))


{
    "mcp": mcp,
    "sse-starlette": sse_starlette,
    "fastapi": fastapi,
    "django": django,
    "aiohttp-sse": aiohttp_sse,
    "flask": flask,
    "tornado": tornado,
    "sanic": sanic,
}[NAME]()
