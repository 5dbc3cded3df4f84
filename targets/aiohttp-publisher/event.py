# What comes in, checked.

import json
from dataclasses import dataclass

from aiohttp import web


@dataclass(slots=True)
class Event:
    id: str
    type: str
    body: bytes  # as it came, and as it goes to every subscriber
    unsettled: int = 0
    failed: bool = False


# The body of a request, refused as soon as it is too large.
async def body(request, most):
    if (request.content_length or 0) > most:
        raise web.HTTPRequestEntityTooLarge(most, request.content_length)
    read = bytearray()
    async for chunk in request.content.iter_any():
        read += chunk
        if len(read) > most:
            raise web.HTTPRequestEntityTooLarge(most, len(read))
    return bytes(read)


# The JSON object in these bytes.
def parsed(text):
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise web.HTTPBadRequest(text=f"not JSON: {error}") from None
    if not isinstance(value, dict):
        raise web.HTTPBadRequest(text="not a JSON object")
    return value


def event(text):
    value = parsed(text)
    for name in ("id", "type"):
        if not isinstance(value.get(name), str) or not value[name]:
            raise web.HTTPBadRequest(text=f"not an event: {name} must be a text and not empty")
    if "data" not in value:
        raise web.HTTPBadRequest(text="not an event: it has no data")
    return Event(value["id"], value["type"], text)
