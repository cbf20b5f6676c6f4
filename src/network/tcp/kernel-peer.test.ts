/** The kernel's TCP as the guest of ours, with real programs on it: in a network namespace with a TAP device. */
import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { buffer, text } from "node:stream/consumers";
import { after, before, test } from "node:test";
import { seeded, type Random } from "../../../test/support/fuzz.ts";
import { KernelGuest } from "../../../test/support/tcp/kernel-guest.ts";
import { IpAddress, type Family } from "../../host/ip/address.ts";
import type { GuestInterface } from "../ip/guest-interface.ts";
import { protocolNumbers, type IpSender, type OutgoingPacket } from "../ip/packet.ts";
import { isUpperChecksumRight } from "../ip/upper-checksum.ts";
import type { TcpConnection, TcpHandler } from "./connection.ts";
import { TcpGate } from "./tcp-gate.ts";

const file = randomBytes(3 << 20);
const digest = createHash("sha256").update(file).digest("hex");
const outsideAddresses: Readonly<Record<Family, string>> = { 4: "93.184.216.34", 6: "2001:db8::22" };
let folder = "";
let server: ChildProcess;
let port = 0;

/** A server of files on a port of its choice, which it tells. */
const serverCode = `
import http.server, socketserver, sys
class Handler(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *args): pass
    def do_PUT(self):
        import hashlib
        rest, digest = int(self.headers["content-length"]), hashlib.sha256()
        while rest > 0:
            part = self.rfile.read(min(rest, 1 << 16)); rest -= len(part); digest.update(part)
        body = digest.hexdigest().encode()
        self.send_response(200); self.send_header("content-length", str(len(body))); self.end_headers()
        self.wfile.write(body)
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    request_queue_size = 100
with Server((sys.argv[1], int(sys.argv[2])), Handler) as server:
    print(server.server_address[1], flush=True)
    server.serve_forever()
`;

async function serving(child: ChildProcess): Promise<number> {
  child.stderr?.pipe(process.stderr);
  const [line] = (await once(child.stdout as Readable, "data")) as [Buffer];
  return Number(String(line));
}

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "msb-tcp-"));
  await writeFile(join(folder, "file"), file);
  server = spawn("python3", ["-c", serverCode, "127.0.0.1", "0"], { cwd: folder });
  port = await serving(server);
});

after(async () => {
  server.kill("SIGKILL");
  await once(server, "close");
  await rm(folder, { recursive: true });
});

/** Joins a connection of the guest with a socket, as plainly as can be. */
class Joined implements TcpHandler {
  readonly #socket: Socket;
  connection: TcpConnection | null = null;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (bytes) => {
      if (this.connection?.write(bytes) === false) socket.pause();
    });
    socket.on("end", () => this.connection?.end());
    socket.on("error", () => this.connection?.reset());
  }

  data(bytes: Buffer): void {
    const { length } = bytes;
    this.#socket.write(Buffer.from(bytes), () => this.connection?.consume(length));
  }

  ended(): void {
    this.#socket.end();
  }

  drained(): void {
    this.#socket.resume();
  }

  acknowledged(): void {
    // Its memory is its own.
  }

  closed(how: string): void {
    if (how !== "closed") this.#socket.destroy();
  }
}

/** Loses some of what goes to the guest. */
function losing(sender: IpSender, random: Random, share: number): IpSender {
  return {
    mtu: sender.mtu,
    get isCongested() {
      return sender.isCongested;
    },
    onDrain: (callback) => sender.onDrain(callback),
    send(packet: OutgoingPacket) {
      if (random(1000) >= share) sender.send(packet);
    },
  };
}

class Cabled implements AsyncDisposable {
  readonly guest: KernelGuest;
  readonly gate: TcpGate;
  readonly #side: GuestInterface;

  private constructor(guest: KernelGuest, random: Random, share: number) {
    this.guest = guest;
    this.#side = guest.plugIn();
    this.gate = new TcpGate({
      sender: losing(this.#side.sender, random, share),
      isChecksumRight: isUpperChecksumRight,
      request: (request) => {
        const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
        const joined = new Joined(socket);
        joined.connection = request.accept(joined);
      },
    });
    // Both directions lose as much.
    this.#side.on(protocolNumbers.tcp, (packet) => {
      if (random(1000) >= share) this.gate.receive(packet);
    });
    this.#side.start();
  }

  static async start(mtu: number, random: Random, share: number): Promise<Cabled> {
    return new Cabled(await KernelGuest.start(mtu), random, share);
  }

  async curl(...args: readonly string[]): Promise<Buffer> {
    const child = this.guest.spawn("curl", [
      "--silent",
      "--show-error",
      "--fail",
      "--max-time",
      "60",
      ...args,
    ]);
    const [output, errors] = await Promise.all([
      buffer(child.stdout as Readable),
      text(child.stderr as Readable),
      once(child, "close"),
    ]);
    assert.equal(errors, "");
    return output;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.gate.close();
    this.#side.close();
    await this.guest[Symbol.asyncDispose]();
  }
}

for (const [mtu, share] of [
  [65_520, 0],
  [1500, 0],
  [9000, 10],
] as const)
  test(`curl and a server of files, both ways, MTU ${mtu}, ${share} of 1000 frames lost`, async (context) => {
    await using cabled = await Cabled.start(mtu, seeded(context), share);
    const { guest, gate } = cabled;
    for (const family of [4, 6] as const) {
      const host = family === 4 ? outsideAddresses[4] : `[${outsideAddresses[6]}]`;
      const got = await cabled.curl(`http://${host}/file`);
      assert.ok(got.equals(file), "what the guest gets");
    }
    const put = await cabled.curl("--upload-file", join(folder, "file"), `http://${outsideAddresses[4]}/`);
    assert.equal(String(put), digest, "what the guest sends");
    const many = Array.from({ length: 3 }, () => cabled.curl(`http://${outsideAddresses[4]}/file`));
    for (const got of await Promise.all(many)) assert.ok(got.equals(file), "three at once");

    const inside = guest.spawn("python3", ["-c", serverCode, "0.0.0.0", "80"]);
    assert.equal(await serving(inside), 80);
    const answer = await new Promise<string>((resolve) => {
      const parts: Buffer[] = [];
      const connection = gate.connect({ address: guestGateway, port: 0 }, 80, {
        established: () => {
          connection.write(
            Buffer.from(
              `PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: ${file.length}\r\nConnection: close\r\n\r\n`,
            ),
          );
          connection.write(file);
        },
        data: (bytes) => {
          parts.push(Buffer.from(bytes));
          connection.consume(bytes.length);
        },
        ended: () => connection.end(),
        drained: () => undefined,
        acknowledged: () => undefined,
        closed: (how) => resolve(`${how}: ${Buffer.concat(parts).toString().split("\r\n\r\n")[1]}`),
      });
    });
    assert.equal(answer, `closed: ${digest}`, "what we send to a server in the guest");
    inside.kill("SIGKILL");
    await once(inside, "close");
  });

const guestGateway = IpAddress.of([172, 16, 0, 1]);
