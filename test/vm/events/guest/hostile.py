"""Does to /run/agent.sock what nobody should. Prints what came of it."""

import json
import socket
import sys
import threading


def connect():
    agent = socket.socket(socket.AF_UNIX)
    agent.connect("/run/agent.sock")
    return agent


def connections():
    """So many connections that are left open, and are opened anew as soon as they are closed."""
    kept = []
    refused = 0
    for _ in range(5_000):
        agent = connect()
        agent.setblocking(False)
        kept.append(agent)
        if len(kept) > 500:
            kept.pop(0).close()
        try:
            refused += b"too many" in agent.recv(100)
        except OSError:
            pass
    print("connections", refused > 0)


def endless():
    """Lines without an end, many at a time."""
    def say():
        try:
            agent = connect()
            for _ in range(64):
                agent.sendall(b"x" * 65536)
            print("not closed")
        except OSError:
            pass
    threads = [threading.Thread(target=say) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print("endless", True)


def nonsense():
    """What is no event, and no end of it; nobody reads what is said about it."""
    agent = connect()
    agent.sendall((b'{"event":"lifecycle:stopped"}\n' + b"[" * 1000 + b"\n" + b"\xff\xfe\n") * 5000)
    print("nonsense", True)


def deaf():
    """Listens for everything, and reads nothing."""
    agents = []
    for _ in range(30):
        agent = connect()
        agent.sendall(b'{"subscribe":"*"}\n')
        agents.append(agent)
    print("deaf", flush=True)
    sys.stdin.read()


def flood(name, count, size):
    agent = connect()
    data = "x" * int(size)
    for number in range(int(count)):
        agent.sendall(json.dumps({"event": name, "data": [number, data]}).encode() + b"\n")
    agent.shutdown(socket.SHUT_WR)
    print("flood", agent.recv(1000) == b"")


{"connections": connections, "endless": endless, "nonsense": nonsense, "deaf": deaf, "flood": flood}[sys.argv[1]](*sys.argv[2:])
