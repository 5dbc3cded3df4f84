# What an event is, whichever way it came.

from typing import Annotated, Any

from pydantic import BaseModel, Field

Text = Annotated[str, Field(min_length=1)]


class Event(BaseModel):
    id: Text
    type: Text
    data: Any


def acknowledgement(event: Event) -> dict:
    return {"id": event.id}
