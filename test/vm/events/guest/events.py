import json
import socket


class Agent:
    """Events to and from the host. msb.emit("built", {"files": 3}); for event in msb.listen("reload"): ..."""

    def __init__(self, path="/run/agent.sock"):
        self.path = path

    def connect(self):
        agent = socket.socket(socket.AF_UNIX)
        agent.connect(self.path)
        return agent

    def emit(self, name, data=None):
        with self.connect() as agent:
            agent.sendall(json.dumps({"event": name, "data": data}).encode() + b"\n")
            agent.shutdown(socket.SHUT_WR)
            # Nothing but what is wrong is said.
            for line in agent.makefile():
                raise ValueError(json.loads(line)["error"])

    def listen(self, *names):
        with self.connect() as agent:
            agent.sendall(json.dumps({"subscribe": names}).encode() + b"\n")
            for line in agent.makefile():
                yield json.loads(line)
