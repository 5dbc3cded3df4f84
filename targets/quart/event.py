# What an event is, whichever way it came.

import json


# The acknowledgement of an event; ValueError where it is none.
def acknowledge(text):
    try:
        event = json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(event, dict) or "data" not in event:
        raise ValueError("not an event: an object with id, type and data")
    for name in ("id", "type"):
        if not isinstance(event.get(name), str) or not event[name]:
            raise ValueError(f"not an event: {name} must be a text and not empty")
    return {"id": event["id"]}
