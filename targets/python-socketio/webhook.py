# Receives events by POST.

from starlette.responses import JSONResponse
from starlette.routing import Route

from event import acknowledge, parsed


async def webhook(request):
    try:
        return JSONResponse(acknowledge(parsed(await request.body())))
    except ValueError as error:
        return JSONResponse({"error": str(error)}, status_code=400)


route = Route("/webhook", webhook, methods=["POST"])
