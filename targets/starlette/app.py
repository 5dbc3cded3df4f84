# Both transports in one process: `python app.py PORT`.

import sys

import uvicorn
from starlette.applications import Starlette

import webhook
import websocket

app = Starlette(routes=[webhook.route, websocket.route])

if __name__ == "__main__":
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=int(sys.argv[1]),
        http="httptools",
        ws="websockets-sansio",
        ws_max_size=32 * 1024 * 1024,
        ws_per_message_deflate=False,
        timeout_keep_alive=75,
        access_log=False,
        log_level="warning",
    )
