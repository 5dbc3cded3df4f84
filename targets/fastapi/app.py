# Both ways in one process: `python app.py PORT`.

import sys

import uvicorn
from fastapi import FastAPI

import webhook
import websocket

app = FastAPI()
webhook.serve(app)
websocket.serve(app)

if __name__ == "__main__":
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=int(sys.argv[1]),
        http="httptools",
        ws="websockets-sansio",
        ws_max_size=32 * 1024 * 1024,
        timeout_keep_alive=75,
        access_log=False,
        log_level="warning",
    )
