# Both ways in one process: `python app.py PORT`.

import sys

from aiohttp import web

from webhook import webhook
from websocket import events

app = web.Application(client_max_size=32 * 1024 * 1024)
app.add_routes([web.post("/webhook", webhook), web.get("/events", events)])

if __name__ == "__main__":
    web.run_app(
        app,
        host="127.0.0.1",
        port=int(sys.argv[1]),
        keepalive_timeout=75,
        access_log=None,
        print=None,
    )
