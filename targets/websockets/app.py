"""The WebSocket server of "Webhooks vs. Websockets: choosing the right approach in Python"."""

import argparse
import asyncio
import json
import logging

import websockets


async def handler(websocket):
    async for message in websocket:
        event = json.loads(message)
        if "id" not in event:
            await websocket.close(1007, "No id")
            return
        await websocket.send("Response")


async def main(port):
    async with websockets.serve(handler, "127.0.0.1", port):
        await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=8765)
    # A line per connection is work the other side does not do.
    logging.getLogger("websockets").setLevel(logging.CRITICAL)
    asyncio.run(main(parser.parse_args().port))
