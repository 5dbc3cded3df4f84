# Takes events by POST.

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from event import Event, acknowledgement


def serve(app: FastAPI) -> None:
    @app.post("/webhook")
    async def webhook(event: Event):
        return acknowledgement(event)

    # FastAPI's own answer would be 422.
    @app.exception_handler(RequestValidationError)
    async def refuse(request: Request, error: RequestValidationError):
        return JSONResponse({"error": str(error)}, status_code=400)
