# A subscriber connects and gets a message per event.

import asyncio
import json

from aiohttp import WSMsgType, web

from hub import HUB

# An acknowledgement is an id.
LARGEST_MESSAGE = 64 * 1024


def setup(app):
    app.cleanup_ctx.append(sweeping)
    app.router.add_get("/subscribe", subscribe)


async def sweeping(app):
    sweep = asyncio.create_task(app[HUB].sweep())
    yield
    sweep.cancel()


async def subscribe(request):
    hub = request.app[HUB]
    types = [name for name in request.query.get("types", "").split(",") if name]
    hub.check(types)
    websocket = web.WebSocketResponse(compress=False, max_msg_size=LARGEST_MESSAGE)
    if not websocket.can_prepare(request):
        text = "subscribers connect by WebSocket"
        raise web.HTTPUpgradeRequired(text=text, headers={"Upgrade": "websocket"})
    # Subscribed when the handshake is answered: an event published after that is delivered.
    subscription = hub.enter(types)
    try:
        await websocket.prepare(request)
        delivering = asyncio.create_task(deliver(websocket, subscription))
        async for message in websocket:
            subscription.settle(acknowledged(message), "acknowledged")
        delivering.cancel()
    finally:
        subscription.end()
    return websocket


async def deliver(websocket, subscription):
    while True:
        event = await subscription.next()
        try:
            await websocket.send_frame(event.body, WSMsgType.TEXT)
        except ConnectionError:
            return  # reading ends, too, and with it the subscription
        if not subscription.hub.acknowledged:
            subscription.settle(event.id, "written")


# The id in an acknowledgement; None where it is none.
def acknowledged(message):
    if message.type != WSMsgType.TEXT:
        return None
    try:
        value = json.loads(message.data)
    except (ValueError, RecursionError):
        return None
    return value.get("id") if isinstance(value, dict) else None
