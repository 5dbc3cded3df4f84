# Events come in by POST and go to every subscriber: `python app.py webhook|websocket PORT`.

import hmac
import os
import sys

from aiohttp import web

import webhook
import websocket
from event import body, event
from hub import HUB, Hub

LARGEST_EVENT = 16 * 1024 * 1024
TRANSPORTS = {"webhook": webhook.setup, "websocket": websocket.setup}


async def publish(request):
    published = event(await body(request, LARGEST_EVENT))
    hub = request.app[HUB]
    hub.check([published.type])
    return web.json_response({"id": published.id, "queued": hub.publish(published)}, status=202)


async def status(request):
    return web.json_response(request.app[HUB].status())


def only_with(token):
    wanted = f"Bearer {token}".encode()

    @web.middleware
    async def admit(request, handler):
        given = request.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
        if not hmac.compare_digest(given, wanted):
            raise web.HTTPUnauthorized(text="Authorization: Bearer and the run's token")
        return await handler(request)

    return admit


def application(transport, environment):
    app = web.Application(middlewares=[only_with(environment["PUSHBENCH_TOKEN"])])
    app[HUB] = Hub(
        types=environment.get("PUSHBENCH_TYPES", "event").split(","),
        acknowledged=environment.get("PUSHBENCH_ACKNOWLEDGED", "true") == "true",
    )
    app.add_routes([web.post("/publish", publish), web.get("/status", status)])
    TRANSPORTS[transport](app)
    return app


if __name__ == "__main__":
    if not os.environ.get("PUSHBENCH_TOKEN"):
        sys.exit("PUSHBENCH_TOKEN is not set: without a token anybody could publish")
    web.run_app(
        application(sys.argv[1], os.environ),
        host="127.0.0.1",
        port=int(sys.argv[2]),
        backlog=4096,
        keepalive_timeout=75,
        access_log=None,
        print=None,
    )
