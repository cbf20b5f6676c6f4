"""Is connected with a server outside, and hears whatever comes. What it hears, and how it ends, is in the file of its second argument."""

import os
import socket
import sys

(host, port), path = sys.argv[1].rsplit(":", 1), sys.argv[2]
connection = socket.create_connection((host, int(port)))


def write(text):
    with open(f"{path}.new", "w") as file:
        file.write(text)
    os.rename(f"{path}.new", path)


write("connected")
while True:
    try:
        heard = connection.recv(100)
        write(heard.decode() if heard else "ended")
    except OSError as error:
        write(type(error).__name__)
        break
    if not heard:
        break
