import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test, type TestContext } from "node:test";
import ssh2, { type Client } from "ssh2";
import { framed } from "./connect-frames.ts";
import type { GuestCommand, GuestEvent, SshGuest } from "../guest.ts";
import { newKey } from "../keys/host-key.ts";
import { loadLibrary } from "../load-library.ts";
import { sshLimits } from "./limits.ts";
import { SshServer } from "./ssh-server.ts";

const directory = mkdtempSync(join(tmpdir(), "msb-ssh-"));
after(() => rmSync(directory, { recursive: true, force: true }));

const clientKey = await newKey();
const library = await loadLibrary();

/** A command that says what it is told to, and notes the signals that it gets. */
class FakeCommand implements GuestCommand {
  readonly exitSignal = null;
  readonly signals: number[] = [];
  readonly #ended = Promise.withResolvers<null>();
  readonly #events: GuestEvent[];

  constructor(events: readonly GuestEvent[]) {
    this.#events = [...events];
  }

  async recv(): Promise<GuestEvent | null> {
    return this.#events.shift() ?? (await this.#ended.promise);
  }

  takeStdin(): ReturnType<GuestCommand["takeStdin"]> {
    return null;
  }

  async wait(): Promise<void> {
    await this.#ended.promise;
  }

  async signal(number: number): Promise<void> {
    this.signals.push(number);
    this.#ended.resolve(null);
  }

  async leave(): Promise<void> {
    this.#ended.resolve(null);
  }

  async resize(): Promise<void> {}
  async release(): Promise<void> {}
}

/** A command that ends with its input, and notes what came there. */
class FakeRelay extends FakeCommand {
  readonly heard: Buffer[] = [];

  override takeStdin(): ReturnType<GuestCommand["takeStdin"]> {
    return {
      write: async (data) => {
        // Its client has gone by the time that it is taken.
        await new Promise((resolve) => setTimeout(resolve, 50));
        this.heard.push(Buffer.from(data));
      },
      close: () => this.leave(),
    };
  }
}

interface Served {
  readonly server: SshServer;
  readonly path: string;
  readonly commands: FakeCommand[];
  readonly end: () => void;
}

let count = 0;

async function serve(t: TestContext, events: readonly GuestEvent[] = [], inactivityMs = 0): Promise<Served> {
  const commands: FakeCommand[] = [];
  const ended = Promise.withResolvers<void>();
  const guest: SshGuest = {
    name: "fake",
    shell: "/bin/sh",
    start: async ({ args }) => {
      const command = new (args[0] === "--connect" ? FakeRelay : FakeCommand)(events);
      commands.push(command);
      return command;
    },
    readUsers: async () => "root:x:0:0::/root:/bin/sh\n",
    helper: async () => "/helper",
    ended: () => ended.promise,
  };
  const key = library.utils.parseKey(clientKey);
  assert.ok(!(key instanceof Error));
  const server = new SshServer({
    ...{ guest, library, inactivityMs, sftp: true, hostKey: await newKey() },
    admission: { user: null, keys: async () => [key] },
  });
  t.after(() => server.close());
  const { path } = await server.listen({ path: join(directory, `s${++count}`) });
  return { server, path, commands, end: () => ended.resolve() };
}

async function open(path: string, privateKey = clientKey, username = "root"): Promise<Client> {
  const client = new ssh2.Client();
  const ready = Promise.withResolvers<void>();
  client.on("ready", () => ready.resolve());
  client.on("error", (error) => ready.reject(error));
  client.on("close", () => ready.reject(new Error("closed")));
  client.connect({ sock: connect(path), username, privateKey });
  await ready.promise;
  return client;
}

async function closed(socket: Socket): Promise<void> {
  socket.on("error", () => undefined).resume();
  if (!socket.closed) await once(socket, "close");
}

test("the socket is for its user only", async (t) => {
  const { path } = await serve(t);
  assert.equal(statSync(path).mode & 0o777, 0o600);
});

test("neither another key, nor another user, nor a password comes in", async (t) => {
  const { path } = await serve(t);
  await assert.rejects(open(path, await newKey()), /authentication methods failed/);
  await assert.rejects(open(path, clientKey, "mallory"), /authentication methods failed/);
  const client = new ssh2.Client();
  const refused = once(client, "error");
  client.connect({ sock: connect(path), username: "root", password: "" });
  assert.match(String((await refused)[0]), /authentication methods failed/);
  (await open(path)).end();
});

test("what is no SSH, and a packet that is too long, ends the connection and nobody else's", async (t) => {
  const { path } = await serve(t);
  const client = await open(path);
  const attacks = [
    randomBytes(100_000),
    Buffer.from(`SSH-2.0-x\r\n${"\xff".repeat(64)}`, "latin1"),
    Buffer.concat([
      Buffer.from("SSH-2.0-x\r\n"),
      Buffer.from([0x7f, 0xff, 0xff, 0xff]),
      Buffer.alloc(70_000),
    ]),
  ];
  for (const bytes of attacks) {
    const socket = connect(path);
    socket.write(bytes);
    await closed(socket);
  }
  const [channel] = await exec(client);
  channel.close();
  client.end();
});

test("so many may come that have not said who they are, and no more; those that are known stay", async (t) => {
  const { path } = await serve(t);
  const client = await open(path);
  const strangers = Array.from({ length: sshLimits.strangers }, () => connect(path));
  await Promise.all(strangers.map((socket) => once(socket, "data")));
  const late = connect(path);
  await closed(late);
  assert.equal(late.bytesRead, 0);
  for (const socket of strangers) socket.destroy();
  await Promise.all(strangers.map(closed));
  client.end();
});

async function exec(client: Client): Promise<[ssh2.ClientChannel]> {
  return await new Promise((resolve, reject) => {
    client.exec("x", (error, channel) => {
      if (error === undefined) resolve([channel]);
      else reject(error);
    });
  });
}

test("a client that vanishes has its command hung up, then killed", async (t) => {
  const { path, commands } = await serve(t, [{ kind: "stdout", data: Buffer.from("x") }]);
  const client = await open(path);
  const [channel] = await exec(client);
  await once(channel, "data");
  client.destroy();
  while ((commands[0]?.signals.length ?? 0) < 2) await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(commands[0]?.signals, [1, 9]);
});

test("a connection without anything on it is ended", async (t) => {
  const { path } = await serve(t, [], 50);
  const client = await open(path);
  await once(client, "close");
});

test("the end of the sandbox ends server and connections", async (t) => {
  const { path, server, end } = await serve(t);
  const client = await open(path);
  const gone = once(client, "close");
  end();
  await Promise.all([gone, server.over]);
  await assert.rejects(server.listen({ port: 0 }), /closed/);
});

test("outputs that have to wait for their client come once and whole", async (t) => {
  const part = (kind: "stdout" | "stderr", byte: number): GuestEvent => ({
    kind,
    data: Buffer.alloc(300_000, byte),
  });
  // More than the window of a client, by turns.
  const events = Array.from({ length: 20 }, (_, index) => part(index % 2 === 0 ? "stdout" : "stderr", index));
  const { path } = await serve(t, [...events, { kind: "exited", code: 6 }]);
  const client = await open(path);
  const [channel] = await exec(client);
  const heard = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
  channel.on("data", (data: Buffer) => heard.stdout.push(data));
  channel.stderr.on("data", (data: Buffer) => heard.stderr.push(data));
  const [code] = (await once(channel, "close")) as [number];
  assert.equal(code, 6);
  for (const kind of ["stdout", "stderr"] as const) {
    const sent = events.flatMap((event) => (event.kind === kind ? [event.data] : []));
    assert.ok(Buffer.concat(heard[kind]).equals(Buffer.concat(sent)), kind);
  }
  client.end();
});

test("what a client of a forwarded connection says last is passed on, though it closes at once", async (t) => {
  const frames = ["", "last word", ""].map((text) => framed(Buffer.from(text)));
  const { path, server, commands } = await serve(t, [{ kind: "stdout", data: Buffer.concat(frames) }]);
  const client = await open(path);
  const channel = await new Promise<ssh2.ClientChannel>((resolve, reject) => {
    client.forwardOut("127.0.0.1", 1, "guest", 80, (error, opened) => {
      if (error === undefined) resolve(opened);
      else reject(error);
    });
  });
  const [said] = await Promise.all([once(channel, "data"), once(channel, "end")]);
  assert.equal(String(said[0]), "last word");
  channel.end("answer");
  client.end();
  await server.close();
  const [relay] = commands;
  assert.ok(relay instanceof FakeRelay);
  assert.deepEqual(
    Buffer.concat(relay.heard),
    Buffer.concat(["answer", ""].map((text) => framed(Buffer.from(text)))),
  );
  // Nothing but what it is told afterwards, when it has ended.
  assert.deepEqual(relay.signals, [1, 9]);
});
