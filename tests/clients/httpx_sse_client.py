"""Reads one event stream with httpx-sse to its end, each event as a line of JSON."""

import json
import sys

import httpx
import httpx_sse

with httpx.Client(timeout=60) as client:
    with httpx_sse.connect_sse(client, "GET", sys.argv[1]) as source:
        for event in source.iter_sse():
            entry = {"kind": "event", "name": event.event, "id": event.id, "data": event.data}
            print(json.dumps(entry), flush=True)
print(json.dumps({"kind": "ended"}), flush=True)
