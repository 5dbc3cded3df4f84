# Receives events by POST.

from quart import Blueprint, request

from event import acknowledge

routes = Blueprint("webhook", __name__)


@routes.post("/webhook")
async def webhook():
    try:
        return acknowledge(await request.get_data())
    except ValueError as error:
        return {"error": str(error)}, 400
