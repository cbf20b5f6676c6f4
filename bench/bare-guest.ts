/**
 * A guest without a supervisor: the agent's port in this very process. What commands cost here is what QEMU, the guest's kernel
 * and the agent cost; what they cost more through the SDK is the price of the supervisor and of the hop to it.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createConnection, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { embeddedRootFileSystem } from "../src/image/embedded.ts";
import { findQemu } from "../src/machine/qemu/qemu-binary.ts";
import { measureTscKhz } from "../src/machine/accelerator/tsc.ts";
import { resolveKernel } from "../src/machine/kernel/kernel.ts";
import { qemuArguments, shareTag } from "../src/machine/qemu/command-line.ts";
import { inheritedFds } from "../src/machine/qemu/inherited-fds.ts";
import { hostPlatform } from "../src/machine/qemu/platform.ts";
import type { Accelerator } from "../src/machine/types.ts";
import { encodeFrame, FrameDecoder, FrameKind } from "../src/protocol/frame.ts";
import {
  decodeMessage,
  encodeMessage,
  PROTOCOL_VERSION,
  type GuestNetwork,
  type Message,
} from "../src/protocol/generated/messages.ts";
import { guestDirectory } from "../src/host/package-files.ts";
import { unpackExtents } from "../src/host/files/extents.ts";
import { connection } from "./restored-guest.ts";

export interface BareResult {
  readonly code: number;
  readonly bytes: number;
}

/** A guest that differs from what the sandboxes of the embedded image are. */
export interface BareOptions {
  /** A directory that is its root, over virtio-9p. */
  readonly root: string;
  /** QEMU's arguments for its network card, and how its guest sets that up. */
  readonly cable: readonly string[];
  readonly network: GuestNetwork;
}

interface Waiter {
  /** What was printed, if that is wanted. */
  readonly output: Buffer[] | null;
  bytes: number;
  readonly done: PromiseWithResolvers<BareResult>;
}

export class BareGuest implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #agentPort: Duplex;
  /** The host's end of a port of the guest's that is nobody's. */
  readonly #barePort: Socket;
  readonly #directory: string;
  readonly #decoder = new FrameDecoder();
  readonly #commands = new Map<number, Waiter>();
  readonly #hello = Promise.withResolvers<void>();
  readonly #ready = Promise.withResolvers<void>();
  #pong = Promise.withResolvers<void>();
  #nextStream = 1;

  private constructor(child: ChildProcess, barePort: Socket, directory: string) {
    this.#child = child;
    this.#agentPort = connection(child, inheritedFds.agent);
    this.#barePort = barePort;
    this.#directory = directory;
    connection(child, inheritedFds.console).resume();
    connection(child, inheritedFds.qmp).resume();
    this.#agentPort.on("data", (chunk: Buffer) => {
      for (const { stream, kind, payload } of this.#decoder.push(chunk)) {
        if (kind === FrameKind.control) this.#receive(stream, decodeMessage(payload, "agent→supervisor"));
        else this.#count(stream, payload);
      }
    });
  }

  static async boot(
    accelerator: Accelerator,
    memoryMib: number,
    options: BareOptions | null = null,
  ): Promise<BareGuest> {
    const directory = await mkdtemp(join(tmpdir(), "msb-bench-"));
    const guest = guestDirectory();
    const upper = join(directory, "upper.img");
    const [qemu, kernel, lower] = await Promise.all([
      findQemu(),
      resolveKernel({ path: null, guestDirectory: guest, stagingDirectory: directory }),
      embeddedRootFileSystem(),
      unpackExtents(join(guest, "upper.extents"), upper),
    ]);
    const tscKhz = accelerator === "tcg" ? await measureTscKhz(kernel, directory) : null;
    const disks = [
      { path: lower.path, format: "raw", readOnly: true, serial: "lower" },
      { path: upper, format: "raw", readOnly: false, serial: "upper" },
    ] as const;
    const shares = options === null ? [] : [{ path: options.root, readOnly: false }];
    const spec = { cpus: 1, memoryMib, kernel, disks, shares, kernelArguments: [] };
    const parameters = qemuArguments(spec, {
      platform: hostPlatform(),
      accelerator,
      tscKhz,
      seccomp: qemu.seccomp,
      hostSystem: process.platform,
    });
    const socket = join(directory, "port.sock");
    const words = [...withBarePort(parameters, socket), ...(options?.cable ?? [])];
    const child = spawn(qemu.path, words, {
      stdio: ["ignore", "ignore", "inherit", "pipe", "pipe", "pipe", "ignore", "ignore", "pipe"],
      cwd: "/",
      env: { LC_ALL: "C" },
    });
    const self = new BareGuest(child, await connectTo(socket, child), directory);
    await self.#hello.promise;
    for (const message of introduction(options)) self.#send(0, message);
    await self.#ready.promise;
    return self;
  }

  /** QEMU. */
  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** What a command of the shell prints. */
  async output(script: string): Promise<string> {
    const output: Buffer[] = [];
    const { code } = await this.exec(["sh", "-c", script], output);
    const text = Buffer.concat(output).toString();
    if (code !== 0) throw new Error(`${script} ended with ${code}: ${text}`);
    return text;
  }

  /** Runs a command and counts its output. */
  exec(argv: string[], output: Buffer[] | null = null): Promise<BareResult> {
    const stream = this.#newStream();
    const waiter: Waiter = { output, bytes: 0, done: Promise.withResolvers<BareResult>() };
    this.#commands.set(stream, waiter);
    this.#send(stream, {
      type: "Exec",
      argv,
      env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
      cwd: "/",
      user: "",
      tty: false,
      rows: 24,
      cols: 80,
      stdin: "null",
      rlimits: [],
    });
    return waiter.done.promise;
  }

  async ping(): Promise<void> {
    this.#pong = Promise.withResolvers<void>();
    this.#send(this.#newStream(), { type: "Ping", nonce: 1 });
    await this.#pong.promise;
  }

  /**
   * What a program in the guest writes to a port by itself, nobody between it and this process.
   *
   * @param options.pipe it writes to a pipe, from which another program copies it to the port
   * @returns ms
   */
  async readPort(bytes: number, { file = "/dev/zero", pipe = false } = {}): Promise<number> {
    const dd = `dd if=${file} bs=65536 count=${bytes / 65536}`;
    return await this.readPortOf(bytes, pipe ? `${dd} | dd of=$port bs=65536` : `${dd} of=$port`);
  }

  /** The same in the other direction. @returns ms */
  async writePort(bytes: number, { file = "/dev/null", pipe = false } = {}): Promise<number> {
    const chunk = Buffer.alloc(65536);
    const chunks = Array.from({ length: bytes / chunk.length }, () => chunk);
    const dd = `dd if=$port bs=65536 count=${chunks.length} iflag=fullblock`;
    return await this.writePortOf(chunks, pipe ? `${dd} | dd of=${file} bs=65536` : `${dd} of=${file}`);
  }

  /** @param command of the shell, which writes so many bytes to $port. @returns ms */
  async readPortOf(bytes: number, command: string): Promise<number> {
    let received = 0;
    const all = Promise.withResolvers<void>();
    const count = (chunk: Buffer): void => {
      received += chunk.length;
      if (received >= bytes) all.resolve();
    };
    this.#barePort.on("data", count);
    const begun = performance.now();
    const done = this.exec(["sh", "-c", `${findPort}; ${command}`]);
    await all.promise;
    const elapsed = performance.now() - begun;
    await done;
    this.#barePort.off("data", count);
    return elapsed;
  }

  /** @param command of the shell, which reads all of it from $port. @returns ms */
  async writePortOf(chunks: AsyncIterable<Buffer> | Iterable<Buffer>, command: string): Promise<number> {
    const begun = performance.now();
    const done = this.exec(["sh", "-c", `${findPort}; ${command}`]);
    for await (const chunk of chunks) {
      if (!this.#barePort.write(chunk)) await once(this.#barePort, "drain");
    }
    const { code } = await done;
    if (code !== 0) throw new Error(`${command} ended with ${code}`);
    return performance.now() - begun;
  }

  /** What a command of the shell prints, as a number. */
  async number(command: string): Promise<number> {
    const size = (await this.exec(["sh", "-c", `${command} > /tmp/number`])).code;
    if (size !== 0) throw new Error(`${command} ended with ${size}`);
    // Printed as so many bytes, which are what is counted here.
    const { bytes } = await this.exec(["sh", "-c", "head -c $(cat /tmp/number) /dev/zero"]);
    return bytes;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const exited = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await exited;
    this.#barePort.destroy();
    await rm(this.#directory, { recursive: true, force: true });
  }

  /** Whoever connects as the supervisor opens streams with odd numbers. */
  #newStream(): number {
    const stream = this.#nextStream;
    this.#nextStream += 2;
    return stream;
  }

  #send(stream: number, message: Message): void {
    this.#agentPort.write(encodeFrame(stream, FrameKind.control, encodeMessage(message)));
  }

  #count(stream: number, payload: Buffer): void {
    const waiter = this.#commands.get(stream);
    if (waiter === undefined) return;
    const bytes = payload.length;
    waiter.output?.push(Buffer.from(payload));
    waiter.bytes += bytes;
    this.#send(stream, { type: "Credit", bytes });
  }

  #receive(stream: number, message: Message): void {
    const waiter = this.#commands.get(stream);
    switch (message.type) {
      case "AgentHello":
        this.#hello.resolve();
        break;
      case "Ready":
        this.#ready.resolve();
        break;
      case "Pong":
        this.#pong.resolve();
        break;
      case "BootFailed":
        this.#ready.reject(new Error(message.message));
        break;
      case "ExecFailed":
        this.#commands.delete(stream);
        waiter?.done.reject(new Error(message.message));
        break;
      case "ExecExited":
        this.#commands.delete(stream);
        waiter?.done.resolve({ code: message.code, bytes: waiter.bytes });
        break;
      default:
    }
  }
}

const portName = "bench";

/** Shell words that set `port` to the port's device. */
const findPort = `for each in /sys/class/virtio-ports/*; do [ "$(cat $each/name)" = ${portName} ] && port=/dev/\${each##*/}; done`;

function withBarePort(parameters: readonly string[], socket: string): string[] {
  return [
    ...parameters.map((word) => word.replace("max_ports=3", "max_ports=4")),
    ...["-chardev", `socket,id=${portName},path=${socket},server=on,wait=off`],
    ...["-device", `virtserialport,chardev=${portName},name=${portName}`],
  ];
}

async function connectTo(path: string, child: ChildProcess): Promise<Socket> {
  for (;;) {
    const socket = createConnection(path);
    try {
      await once(socket, "connect");
      return socket;
    } catch (error) {
      if (child.exitCode !== null) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

function introduction(options: BareOptions | null): Message[] {
  const layered = { lower: { serial: "lower", fsType: "erofs" }, upperSerial: "upper", upperSizeMib: 0 };
  const root =
    options === null
      ? { layered, shared: null, disk: null }
      : { layered: null, shared: { tag: shareTag(0) }, disk: null };
  const network = options?.network ?? null;
  // Once for now, and once for what comes after the mount, where a guest may have been saved.
  const seed = (): Message => ({
    type: "Seed",
    protocolVersion: PROTOCOL_VERSION,
    entropy: randomBytes(64),
  });
  return [
    seed(),
    { type: "Clock", seconds: Math.floor(Date.now() / 1000), nanoseconds: 0 },
    { type: "Mount", root, tmpSizeMib: 64, programs: [], network, trust: null },
    seed(),
    { type: "Boot", hostname: "bare", workdir: "", mounts: [], scripts: [], network, trust: null },
  ];
}
