# Receives events as Socket.IO packets, and answers with their acknowledgement.

from socketio import AsyncServer

from event import acknowledge

server = AsyncServer(
    async_mode="asgi",
    transports=["websocket"],
    max_http_buffer_size=32 * 1024 * 1024,
)


@server.on("event")
async def event(session, data):
    try:
        return acknowledge(data)
    except ValueError as error:
        return {"error": str(error)}
