"""Takes events by webhook, one connection at a time. `server.py PORT WORK`: it adds up WORK numbers for each event."""

import json
import socket
import sys


def bodies(connection):
    received = b""
    while True:
        head, found, body = received.partition(b"\r\n\r\n")
        if found:
            lines = (line.split(b":", 1) for line in head.split(b"\r\n")[1:])
            length = next(int(value) for name, value in lines if name.lower() == b"content-length")
            if len(body) >= length:
                yield body[:length]
                received = body[length:]
                continue
        more = connection.recv(65536)
        if not more:
            return
        received += more


def main():
    port, work = int(sys.argv[1]), int(sys.argv[2])
    listener = socket.create_server(("127.0.0.1", port))
    while True:
        connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for body in bodies(connection):
            event = json.loads(body)
            sum(range(work))
            answer = json.dumps({"id": event["id"]}).encode()
            head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
            connection.sendall(head % len(answer) + answer)
        connection.close()


main()
