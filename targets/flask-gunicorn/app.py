"""The webhook endpoint of "Webhooks vs. Websockets: choosing the right approach in Python"."""

import argparse
import logging

from flask import Flask, request

app = Flask(__name__)


@app.route("/webhook", methods=["POST"])
def webhook():
    event = request.get_json()
    if "id" not in event:
        return "No id", 400
    return "Webhook received"


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=5000)
    port = parser.parse_args().port
    # A line per request is work the other side does not do.
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    app.run(host="127.0.0.1", port=port)
