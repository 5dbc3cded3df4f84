# Takes events by POST.

from aiohttp import web

from event import acknowledge


async def webhook(request):
    try:
        return web.json_response(acknowledge(await request.read()))
    except ValueError as error:
        return web.json_response({"error": str(error)}, status=400)
