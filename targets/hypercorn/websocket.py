# Takes events as messages.

from fastapi import FastAPI, WebSocket
from pydantic import ValidationError

from event import Event, acknowledgement


def serve(app: FastAPI) -> None:
    @app.websocket("/events")
    async def events(websocket: WebSocket):
        await websocket.accept()
        async for message in websocket.iter_text():
            try:
                answer = acknowledgement(Event.model_validate_json(message))
            except ValidationError as error:
                answer = {"error": str(error)}
            await websocket.send_json(answer)
