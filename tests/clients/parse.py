"""Parses event streams with httpx-sse: `python3 parse.py STREAMS EVENTS`.

STREAMS has one line per stream, `{"body": base64, "pieces": [lengths]}`; EVENTS gets one line per
stream, the events in JSON. It judges nothing: the test compares.
"""

import base64
import json
import sys
from typing import Iterator

import httpx
import httpx_sse


class Pieces(httpx.SyncByteStream):
    """A body that comes in these pieces."""

    def __init__(self, stream: dict) -> None:
        self.body = base64.b64decode(stream["body"])
        self.pieces = stream["pieces"]

    def __iter__(self) -> Iterator[bytes]:
        at = 0
        for length in self.pieces:
            yield self.body[at : at + length]
            at += length


def parse(stream: dict) -> list[dict]:
    def answer(_: httpx.Request) -> httpx.Response:
        headers = {"Content-Type": "text/event-stream; charset=utf-8"}
        return httpx.Response(200, headers=headers, stream=Pieces(stream))

    client = httpx.Client(transport=httpx.MockTransport(answer))
    with httpx_sse.connect_sse(client, "GET", "http://localhost/") as source:
        return [
            {"id": event.id, "event": event.event, "data": event.data, "retry": event.retry}
            for event in source.iter_sse()
        ]


def main(streams: str, events: str) -> None:
    # Not by universal newlines: only LF parts the lines of the file.
    with open(streams, "rb") as lines, open(events, "w", encoding="utf-8", newline="\n") as out:
        for line in lines:
            json.dump(parse(json.loads(line)), out)
            out.write("\n")


main(*sys.argv[1:])
