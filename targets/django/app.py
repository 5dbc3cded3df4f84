# Both transports in one process: `python app.py PORT`.

import os
import sys

import uvicorn
from channels.routing import ProtocolTypeRouter
from django.core.asgi import get_asgi_application

os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
http = get_asgi_application()

import websocket  # when Django is set up

app = ProtocolTypeRouter({"http": http, "websocket": websocket.router})

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
        lifespan="off",
    )
