"""Clients of Python's own: each prints what it got. Arguments: which one, and a URL or a host and a port."""
import hashlib
import os
import socket
import ssl
import sys
import urllib.request

key = {"Authorization": "Bearer " + os.environ["API_KEY"]}


def by_urllib(url):
    with urllib.request.urlopen(urllib.request.Request(url, headers=key)) as response:
        return response.read().decode().strip()


def by_requests(url):
    from pip._vendor import requests

    with requests.Session() as session:
        return " ".join(session.get(url, headers=key).text.strip() for _ in range(3))


def by_upgrade(host, port):
    plain = socket.create_connection((host, int(port)))
    connection = ssl.create_default_context().wrap_socket(plain, server_hostname=host)
    fields = f"Host: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nAuthorization: {key['Authorization']}\r\n"
    connection.sendall(f"GET /chat HTTP/1.1\r\n{fields}\r\n".encode())
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += connection.recv(1)
    sent, got = hashlib.sha256(), hashlib.sha256()
    for _ in range(4):
        frame = os.urandom(1 << 18)
        connection.sendall(frame)
        sent.update(frame)
        left = len(frame)
        while left > 0:
            part = connection.recv(min(left, 65536))
            got.update(part)
            left -= len(part)
    return answer.split(b"\r\n")[0].decode() + (" same" if sent.digest() == got.digest() else " different")


def by_udp(host, port):
    quic = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    quic.connect((socket.gethostbyname(host), int(port)))
    quic.settimeout(60)
    quic.send(bytes(1200))
    try:
        return f"{len(quic.recv(2000))} bytes"
    except ConnectionRefusedError:
        return "refused"


print(globals()["by_" + sys.argv[1]](*sys.argv[2:]))
