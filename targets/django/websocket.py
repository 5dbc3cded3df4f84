# Receives events as messages.

import json

from channels.generic.websocket import AsyncWebsocketConsumer
from channels.routing import URLRouter
from django.urls import path

from event import acknowledge


class Events(AsyncWebsocketConsumer):
    async def receive(self, text_data=None, bytes_data=None):
        if text_data is None:
            return
        try:
            answer = acknowledge(text_data)
        except ValueError as error:
            answer = {"error": str(error)}
        await self.send(json.dumps(answer))


router = URLRouter([path("events", Events.as_asgi())])
