"""
ClientHellos in pieces: python3 tls.py ADDRESS NAME HOW [ADDRESS NAME HOW]... prints a line about what came of each. NAME: - is none. HOW: whole,
segments, bytes, records, large and what these are together.
"""
import socket, ssl, struct, sys, time


def in_records(hello, size):
    body = hello[5:]
    return b"".join(
        hello[:3] + struct.pack("!H", len(body[at : at + size])) + body[at : at + size] for at in range(0, len(body), size)
    )


def attempt(address, name, how):
    context = ssl.create_default_context(cafile="/tmp/ca.pem")
    context.check_hostname = False
    if "large" in how:
        # As large as one with a post-quantum key (ML-KEM-768: 1,184 bytes).
        context.set_alpn_protocols(["http/1.1", *(f"x{number:03}" + "p" * 100 for number in range(13))])
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname=None if name == "-" else name)
    try:
        connection = socket.create_connection((address, 443), 15)
    except OSError as error:
        return "refused" if isinstance(error, ConnectionRefusedError) else "ended"

    def step(action):
        """Until it is done, or wants bytes that do not come any more."""
        while True:
            try:
                return action()
            except ssl.SSLWantReadError:
                connection.sendall(outgoing.read())
                got = connection.recv(65536)
                if got == b"":
                    raise ConnectionError("closed")
                incoming.write(got)
            finally:
                if outgoing.pending:
                    connection.sendall(outgoing.read())

    with connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            hello = outgoing.read()
        if "records" in how:
            hello = in_records(hello, 150)
        size = {"bytes": 1, "segments": len(hello) // 2 + 1}.get(how.split("-")[-1], len(hello))
        try:
            for at in range(0, len(hello), size):
                connection.sendall(hello[at : at + size])
                if 1 < size < len(hello):
                    time.sleep(0.05)
            step(tls.do_handshake)
            step(lambda: tls.write(b"GET /hello HTTP/1.1\r\nHost: " + name.encode() + b"\r\nConnection: close\r\n\r\n"))
            return "answered" if b" 200 " in step(lambda: tls.read(4096)) else "something else"
        except OSError:
            return "ended"


for at in range(1, len(sys.argv), 3):
    print(attempt(*sys.argv[at : at + 3]), flush=True)
