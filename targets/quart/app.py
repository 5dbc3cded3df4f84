# Both transports in one process: `python app.py PORT`.

import asyncio
import sys

from hypercorn.asyncio import serve
from hypercorn.config import Config
from quart import Quart

import webhook
import websocket

LARGEST = 32 * 1024 * 1024

app = Quart(__name__)
app.config["MAX_CONTENT_LENGTH"] = LARGEST
app.register_blueprint(webhook.routes)
app.register_blueprint(websocket.routes)

if __name__ == "__main__":
    config = Config()
    config.bind = [f"127.0.0.1:{sys.argv[1]}"]
    config.keep_alive_timeout = 75
    config.keep_alive_max_requests = sys.maxsize
    config.websocket_max_message_size = LARGEST
    config.loglevel = "WARNING"
    asyncio.run(serve(app, config))
