"""A server of the kernel that does what it is told, one command a line: "ACTION PORT [COUNT]", PORT being the caller's.

Each is answered with one line: what was read since, in hexadecimal, and how the connection stands.
"""
import errno, socket, struct, sys

listener = socket.create_server(("0.0.0.0", 80), backlog=4096)
listener.setblocking(False)
print("ready", flush=True)
connections = {}
# How a connection has ended; what comes of it after that is told or not.
ended = {}


def accept():
    while True:
        try:
            connection, (_, port) = listener.accept()
        except BlockingIOError:
            return
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # A second one with the same port, after the first was reset, is nobody's.
        connections.setdefault(port, connection)


def read(port):
    data = b""
    connection = connections.get(port)
    if connection is None:
        return "- none"
    if port in ended:
        return f"- {ended[port]}"
    while True:
        try:
            part = connection.recv(1 << 20)
        except BlockingIOError:
            state = "open"
        except OSError as error:
            state = "reset" if error.errno in (errno.ECONNRESET, errno.EPIPE) else errno.errorcode[error.errno]
            ended[port] = state
        else:
            data += part
            state = "eof"
            if part:
                continue
            ended[port] = state
        return f"{data.hex() or '-'} {state}"


for line in sys.stdin:
    action, port, *count = line.split()
    port = int(port)
    accept()
    if action == "end":
        try:
            connections[port].shutdown(socket.SHUT_WR)
        except (KeyError, OSError):
            pass
    elif action == "write":
        try:
            connections[port].send(bytes(int(count[0])))
        except (KeyError, OSError):
            pass
    if action == "drop":
        connection = connections.pop(port, None)
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()
        print("- dropped", flush=True)
    else:
        print(read(port), flush=True)
