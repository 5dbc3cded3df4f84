"""The same server over TLS: `python tls.py PORT CERTIFICATE KEY`."""

import asyncio
import logging
import ssl
import sys

import websockets

from app import handler


async def main(port, certificate, key):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    async with websockets.serve(handler, "127.0.0.1", int(port), ssl=context):
        await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    logging.getLogger("websockets").setLevel(logging.CRITICAL)
    asyncio.run(main(*sys.argv[1:]))
