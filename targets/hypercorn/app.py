# Both ways in one process, over either version of HTTP: `python app.py PORT [CERTIFICATE KEY]`.

import asyncio
import sys

from fastapi import FastAPI
from hypercorn.asyncio import serve
from hypercorn.config import Config

import webhook
import websocket

app = FastAPI()
webhook.serve(app)
websocket.serve(app)

if __name__ == "__main__":
    config = Config()
    config.bind = [f"127.0.0.1:{sys.argv[1]}"]
    config.certfile, config.keyfile = sys.argv[2:] or (None, None)
    config.keep_alive_timeout = 75
    config.websocket_max_message_size = 32 * 1024 * 1024
    config.loglevel = "WARNING"
    asyncio.run(serve(app, config))
