"""Says bytes inside of TLS as they are, whatever they are: rows of {name, host, port, parts, answers} as JSON on stdin.

Each part, base64, is a TLS record and a segment of its own. A row ends when so many answers have come, or when the other side ends it.
"""
import base64
import json
import socket
import ssl
import sys

context = ssl.create_default_context()
for row in json.load(sys.stdin):
    received = b""
    ended = "answered"
    try:
        plain = socket.create_connection((row["host"], row["port"]), 60)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = context.wrap_socket(plain, server_hostname=row["host"])
        for part in row["parts"]:
            connection.sendall(base64.b64decode(part))
        while received.count(b"200 OK") < row["answers"]:
            more = connection.recv(65536)
            if not more:
                ended = "closed"
                break
            received += more
        connection.close()
    except OSError as error:
        ended = f"{type(error).__name__}: {error}"
    print(json.dumps({"name": row["name"], "ended": ended, "received": received.decode("latin1")}), flush=True)
