# Receives events as messages.

from quart import Blueprint, websocket

from event import acknowledge

routes = Blueprint("websocket", __name__)


@routes.websocket("/events")
async def events():
    while True:
        message = await websocket.receive()
        try:
            answer = acknowledge(message)
        except ValueError as error:
            answer = {"error": str(error)}
        await websocket.send_json(answer)
