# Receives events as messages.

from starlette.routing import WebSocketRoute

from event import acknowledge


async def events(websocket):
    await websocket.accept()
    async for message in websocket.iter_text():
        try:
            answer = acknowledge(message)
        except ValueError as error:
            answer = {"error": str(error)}
        await websocket.send_json(answer)


route = WebSocketRoute("/events", events)
