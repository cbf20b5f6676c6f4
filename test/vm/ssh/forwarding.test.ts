import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { buffer, text } from "node:stream/consumers";
import { after, before, test } from "node:test";
import { NetworkPolicyBuilder, Sandbox } from "../../../src/index.ts";
import { eventually, useTemporaryHome } from "../support.ts";
import type { Needs } from "../tags.ts";
import { SshPort } from "./ssh-support.ts";

export const needs: Needs = ["running", "ssh"];

// The client is Debian's OpenSSH, which listens on sockets here and has all that comes there connected from inside the guest.

const home = useTemporaryHome();
/** Of the guest: gives back what it is told; and one where nobody listens. */
const echoPort = 7000;
const closedPort = 7001;

/** A server of this computer, which notes who has come. */
class HostServer {
  readonly server: Server;
  readonly sockets: Socket[] = [];

  private constructor(serve: (socket: Socket) => void) {
    this.server = createServer({ allowHalfOpen: true }, (socket) => {
      this.sockets.push(socket.on("error", () => undefined));
      serve(socket);
    });
  }

  static async open(serve: (socket: Socket) => void): Promise<HostServer> {
    const opened = new HostServer(serve);
    await once(opened.server.listen(0, "127.0.0.1"), "listening");
    return opened;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  close(): void {
    for (const socket of this.sockets) socket.destroy();
    this.server.close();
  }
}

let sandbox: Sandbox;
let port: SshPort;
/** The guest may reach the first one, and not the second. */
let allowed: HostServer;
let victim: HostServer;
let client: ChildProcess;
/** What the client has said of connections. */
let log = "";

const heard = Promise.withResolvers<string>();
const gateway = "host.microsandbox.internal";
let forwards: Record<string, string>;
const socketOf = (name: string): string => join(home, `${name}.sock`);
/** One end of a forwarded connection; the other one is where it leads. */
const reach = (name: string): Socket => connect({ path: socketOf(name), allowHalfOpen: true });

before(async () => {
  // It says its last word first, and listens on.
  allowed = await HostServer.open((socket) => {
    socket.end("last word");
    void text(socket).then(heard.resolve, heard.reject);
  });
  victim = await HostServer.open((socket) => socket.end("secret"));
  const policy = new NetworkPolicyBuilder().egress((r) => r.tcp().port(allowed.port).allowHost()).build();
  sandbox = await Sandbox.builder("forwarding")
    .image("localhost/base")
    .network((n) => n.policy(policy))
    .create();
  port = await SshPort.open(sandbox);
  const server = `busybox nc -ll -p ${echoPort} -e /bin/cat >/dev/null 2>&1 &
    until netstat -ltn | grep -q ':${echoPort} '; do :; done`;
  assert.equal((await sandbox.shell(server)).code, 0);
  forwards = {
    ...{
      echo: `localhost:${echoPort}`,
      closed: `localhost:${closedPort}`,
      host: `${gateway}:${allowed.port}`,
    },
    ...{ victim: `${gateway}:${victim.port}`, mapped: `[::ffff:172.16.0.1]:${victim.port}` },
    ...{ own: `127.0.0.1:${victim.port}`, metadata: "169.254.169.254:80", named: "example.com:80" },
  };
  const flags = Object.entries(forwards).flatMap(([name, to]) => ["-L", `${socketOf(name)}:${to}`]);
  const args = ["-o", "LogLevel=INFO", ...port.options, "-p", String(port.port), "-N", ...flags];
  client = spawn("ssh", [...args, "-o", "ExitOnForwardFailure=yes", "root@127.0.0.1"], {
    stdio: ["ignore", "ignore", "pipe"],
  });

  client.stderr?.setEncoding("utf8").on("data", (said: string) => (log += said));
  await eventually("the forwarded port", async () => {
    const heardBack = await text(reach("echo").end("first")).catch(() => "");
    return heardBack === "first" ? true : null;
  });
});
after(async () => {
  client.kill();
  await port.server.close();
  await sandbox.stop();
  for (const server of [allowed, victim]) server.close();
});

test("bytes pass both ways, whole, on several connections at once, and their end", async () => {
  const contents = Array.from({ length: 4 }, (_, index) => randomBytes((index + 1) * 300_000));
  const echoes = await Promise.all(
    contents.map(async (content) => {
      const socket = reach("echo");
      socket.end(content);
      return await buffer(socket);
    }),
  );
  for (const [index, content] of contents.entries()) assert.ok(echoes[index]?.equals(content), `${index}`);
});

test("a side that has said all can still be told something", async () => {
  const socket = reach("host");
  let said = "";
  socket.setEncoding("utf8").on("data", (part: string) => (said += part));
  await once(socket, "end");
  assert.equal(said, "last word");
  socket.end("answer");
  assert.equal(await heard.promise, "answer");
});

test("one that ends by force ends on the other side, too, and no other connection does", async () => {
  const [broken, other] = [reach("echo"), reach("echo")];
  for (const socket of [broken, other]) {
    socket.write("x");
    await once(socket, "data");
  }
  broken.destroy();
  await eventually("the end of one connection", async () => {
    const established = `netstat -tn | grep ':${echoPort} .*ESTABLISHED' | wc -l`;
    // One has two ends.
    return Number((await sandbox.shell(established)).stdout()) === 2 ? true : null;
  });
  other.end("y");
  assert.equal(await text(other), "y");
});

test("where nobody listens, and where the policy lets nobody go, there is no connection", async () => {
  for (const name of Object.keys(forwards).filter((each) => each !== "echo" && each !== "host")) {
    const socket = reach(name).on("error", () => undefined);
    socket.write("let me in");
    assert.equal(await text(socket).catch(() => ""), "", name);
    const end = /open failed: connect failed/;
    await eventually("a word about it", async () => (end.test(log) ? true : null));
    log = "";
  }
  assert.deepEqual(victim.sockets, []);
  const socket = reach("echo");
  assert.equal(await text(socket.end("still here")), "still here");
});
