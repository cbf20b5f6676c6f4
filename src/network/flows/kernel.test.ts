import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { text } from "node:stream/consumers";
import { describe, it } from "node:test";
import { allowAll, networkConfig, rule } from "../../../test/support/network/guest-peer.ts";
import { KernelGuest } from "../../../test/support/tcp/kernel-guest.ts";
import { openGateway } from "../gateway.ts";
import { PublishedPorts } from "./ports/published-ports.ts";

/** What a program sees of the gateway whose kernel is Linux's own: errors by their names, bytes by their sum. */
const program = `
import errno, hashlib, socket, struct, sys
send, take, reset, closed, datagrams, denied = map(int, sys.argv[1:])
def error(act):
    try:
        return repr(act())
    except OSError as failure:
        return errno.errorcode.get(failure.errno, str(failure))
def sum_of(connection):
    digest = hashlib.sha256()
    while True:
        data = connection.recv(1 << 20)
        if not data:
            return digest.hexdigest()
        digest.update(data)
for host in ("172.16.0.1", "fd42:6d73:62::1"):
    connection = socket.create_connection((host, send))
    print(sum_of(connection))
    connection = socket.create_connection((host, take))
    connection.sendall(bytes(range(256)) * 65536)
    connection.shutdown(socket.SHUT_WR)
    print(connection.makefile().read())
connection = socket.create_connection(("172.16.0.1", reset))
connection.send(b"x")
print(error(lambda: connection.recv(1)))
print(error(lambda: socket.create_connection(("172.16.0.1", closed))))
print(error(lambda: socket.create_connection(("fd42:6d73:62::1", closed))))
print(error(lambda: socket.create_connection(("172.16.0.1", denied))))
def datagram(host, port, size):
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as end:
        end.settimeout(5)
        end.connect((host, port))
        end.send(b"u" * size)
        return len(end.recv(70000))
for size in (0, 1472, 9000, 65000):
    print(datagram("172.16.0.1", datagrams, size))
print(error(lambda: datagram("172.16.0.1", closed, 1)))
print(error(lambda: datagram("fd42:6d73:62::1", closed, 1)))
print(error(lambda: datagram("172.16.0.1", denied, 1)))
for _ in range(500):
    socket.create_connection(("172.16.0.1", reset)).close()
print("done", flush=True)
listener = socket.create_server(("", 8000), backlog=64)
connection, peer = listener.accept()
question = connection.makefile("rb").read()
connection.sendall(b"%d from %s" % (len(question), peer[0].encode()))
connection.close()
`;

async function listening(connection: (socket: Socket) => void): Promise<{ port: number; close: () => void }> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => undefined);
    connection(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { port: (server.address() as AddressInfo).port, close: () => server.close() };
}

describe("the gateway and a guest's real kernel", () => {
  const blob = randomBytes(16 << 20);
  const sum = createHash("sha256").update(blob).digest("hex");
  for (const mtu of [65_520, 1500])
    it(`at an MTU of ${mtu}`, async (t) => {
      const send = await listening((socket) => socket.end(blob));
      const take = await listening((socket) => {
        const hash = createHash("sha256");
        socket.on("data", (data) => hash.update(data)).on("end", () => socket.end(hash.digest("hex")));
      });
      const reset = await listening((socket) =>
        socket.once("data", () => socket.resetAndDestroy()).once("end", () => socket.end()),
      );
      const closed = await listening(() => undefined);
      closed.close();
      const echo = createSocket("udp4");
      echo.on("message", (payload, peer) => echo.send(payload, peer.port, peer.address)).bind(0, "127.0.0.1");
      await once(echo, "listening");
      t.after(() => {
        for (const server of [send, take, reset, echo]) server.close();
      });

      await using guest = await KernelGuest.start(mtu);
      const denied = 79;
      const config = networkConfig({
        policy: { ...allowAll, rules: [rule({ action: "deny", ports: [{ start: denied, end: denied }] })] },
        ports: [
          { hostBind: "127.0.0.1", hostPort: 0, guestPort: 8000, protocol: "tcp", proxyProtocol: false },
        ],
      });
      const warnings: string[] = [];
      const warn = (message: string): void => void warnings.push(message);
      const ports = await PublishedPorts.bind(config.ports, warn);
      const { link, addresses } = guest;
      await using gateway = await openGateway({
        link,
        addresses,
        config,
        ports,
        event: () => undefined,
        warn,
      });
      const argumentsOf = [send.port, take.port, reset.port, closed.port, echo.address().port, denied];
      const run = guest.spawn("python3", ["-c", program, ...argumentsOf.map(String)]);
      assert.ok(run.stdout !== null && run.stderr !== null);
      const failure = text(run.stderr);
      let output = "";
      for await (const part of run.stdout) {
        output += String(part);
        if (output.endsWith("done\n")) break;
      }
      const expected = createHash("sha256")
        .update(
          Buffer.alloc(
            16 << 20,
            Uint8Array.from({ length: 256 }, (_, byte) => byte),
          ),
        )
        .digest("hex");
      assert.deepEqual(
        output.trim().split("\n"),
        [
          ...[sum, expected, sum, expected],
          "ECONNRESET",
          ...["ECONNREFUSED", "ECONNREFUSED", "ECONNREFUSED"],
          ...["0", "1472", "9000", "65000"],
          ...["ECONNREFUSED", "ECONNREFUSED", "EHOSTUNREACH"],
          "done",
        ],
        `${output}\n${run.exitCode === null ? "" : await failure}`,
      );
      const [port] = gateway.ports;
      const socket = connect({ host: "127.0.0.1", port: port?.hostPort ?? 0, allowHalfOpen: true });
      socket.end(blob);
      assert.equal(await text(socket), `${blob.length} from 172.16.0.1`);
      assert.deepEqual(warnings, []);
    });
});
