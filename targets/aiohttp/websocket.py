# Takes events as messages.

from aiohttp import WSMsgType, web

from event import acknowledge


async def events(request):
    websocket = web.WebSocketResponse(compress=False, max_msg_size=32 * 1024 * 1024)
    await websocket.prepare(request)
    async for message in websocket:
        if message.type != WSMsgType.TEXT:
            continue
        try:
            answer = acknowledge(message.data)
        except ValueError as error:
            answer = {"error": str(error)}
        await websocket.send_json(answer)
    return websocket
