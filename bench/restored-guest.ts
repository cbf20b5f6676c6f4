/**
 * The floor of a start: QEMU restores the image template that sandboxes start from, and the guest runs the same first command.
 * There is no supervisor, no SDK, and nothing that watches over QEMU: its process is spawned from here, everything it and the
 * agent will be told is written at once, and the clock stops at the command's first byte. The writable disk is unpacked
 * beforehand.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { open, rm, type FileHandle } from "node:fs/promises";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { embeddedRootFileSystem } from "../src/image/embedded.ts";
import { inheritedFds } from "../src/machine/qemu/inherited-fds.ts";
import { findQemu } from "../src/machine/qemu/qemu-binary.ts";
import { hostPlatform } from "../src/machine/qemu/platform.ts";
import { measureTscKhz } from "../src/machine/accelerator/tsc.ts";
import { qemuArguments } from "../src/machine/qemu/command-line.ts";
import { resolveKernel } from "../src/machine/kernel/kernel.ts";
import type { MachineSpec } from "../src/machine/types.ts";
import { restoreCommands } from "../src/machine/memory/save-restore.ts";
import { encodeFrame, FrameDecoder, FrameKind } from "../src/protocol/frame.ts";
import {
  decodeMessage,
  encodeMessage,
  PROTOCOL_VERSION,
  type Message,
} from "../src/protocol/generated/messages.ts";
import { guestDirectory } from "../src/host/package-files.ts";
import { unpackExtents } from "../src/host/files/extents.ts";
import type { Home } from "../src/store/home.ts";
import type { Template } from "../src/store/templates/templates.ts";
import { isAccelerator } from "./accelerator.ts";
import { cpuTimeMs } from "./processes.ts";

/** Longer than any restore on any host takes, ms. */
const deadlineMs = 60_000;

/** When each thing had happened, in ms since just before QEMU was spawned. */
export interface RestoreTimes {
  /** QEMU's monitor has said hello. */
  readonly greeting: number;
  /** QEMU reports that the guest's processors run. */
  readonly resumed: number;
  /** The agent has become the sandbox it was told to be. */
  readonly ready: number;
  /** The first byte that the command printed. */
  readonly output: number;
  /** Processor time that QEMU had used by then. 0 where it cannot be had. */
  readonly qemuCpu: number;
}

/** Everything of a restore that is the same every time. */
export class RestoredGuest {
  readonly #program: string;
  readonly #arguments: readonly string[];
  readonly #template: Template;
  readonly #upper: string;

  private constructor(program: string, parameters: readonly string[], template: Template, upper: string) {
    this.#program = program;
    this.#arguments = parameters;
    this.#template = template;
    this.#upper = upper;
  }

  /** @param thp of the sandboxes that the template is for: it is on the kernel's command line */
  static async prepare(home: Home, template: Template, thp: string): Promise<RestoredGuest> {
    const { cpus, memoryMib, accelerator } = template.record.description;
    if (!isAccelerator(accelerator)) throw new Error(`unknown accelerator ${accelerator}`);
    const [qemu, kernel, lower] = await Promise.all([
      findQemu({ cacheDirectory: home.cache }),
      resolveKernel({ path: null, guestDirectory: guestDirectory(), stagingDirectory: home.cache }),
      embeddedRootFileSystem(),
    ]);
    const upper = join(home.root, "floor-upper.img");
    const spec: MachineSpec = {
      name: "msb-floor",
      cpus,
      memoryMib,
      kernel,
      disks: [
        { path: lower.path, format: "raw", readOnly: true, serial: "lower" },
        { path: upper, format: "raw", readOnly: false, serial: "upper" },
      ],
      kernelArguments: [`transparent_hugepage=${thp}`],
      template: { memoryPath: template.paths.memory, shared: false, restored: true },
    };
    const parameters = qemuArguments(spec, {
      platform: hostPlatform(),
      accelerator,
      tscKhz: accelerator === "tcg" ? await measureTscKhz(kernel, home.cache) : null,
      seccomp: qemu.seccomp,
      hostSystem: process.platform,
    });
    return new RestoredGuest(qemu.path, parameters, template, upper);
  }

  /** Restores the template, runs `argv` in it and ends it. One at a time: all have one writable disk. */
  async run(argv: string[]): Promise<RestoreTimes> {
    await rm(this.#upper, { force: true });
    await unpackExtents(this.#template.paths.upper, this.#upper);
    await using state = await open(this.#template.paths.state);
    const begun = performance.now();
    const child = this.#spawn(state);
    const exited = new Promise((resolve) => child.once("exit", resolve));
    try {
      return await withDeadline(exited, () => restore(child, begun, argv));
    } finally {
      child.kill("SIGKILL");
      await exited;
    }
  }

  #spawn(state: FileHandle): ChildProcess {
    const child = spawn(this.#program, this.#arguments, {
      stdio: ["ignore", "ignore", "inherit", "pipe", "pipe", "pipe", "ignore", state.fd, "pipe"],
      cwd: "/",
      env: { LC_ALL: "C" },
    });
    child.on("error", (error) => console.error(error));
    return child;
  }
}

async function withDeadline<T>(exited: Promise<unknown>, work: () => Promise<T>): Promise<T> {
  const failed = Promise.withResolvers<never>();
  const timer = setTimeout(() => failed.reject(new Error("QEMU did not restore the template")), deadlineMs);
  void exited.then(() => failed.reject(new Error("QEMU ended before the command had printed anything")));
  failed.promise.catch(() => undefined);
  try {
    return await Promise.race([work(), failed.promise]);
  } finally {
    clearTimeout(timer);
  }
}

const commandStream = 1;

async function restore(child: ChildProcess, begun: number, argv: string[]): Promise<RestoreTimes> {
  const since = (): number => performance.now() - begun;
  const [greeting, resumed] = [Promise.withResolvers<number>(), Promise.withResolvers<number>()];
  const [ready, output] = [Promise.withResolvers<number>(), Promise.withResolvers<number>()];
  const monitor = connection(child, inheritedFds.qmp);
  const agentPort = connection(child, inheritedFds.agent);
  connection(child, inheritedFds.console).resume();

  let heard = "";
  monitor.on("data", (chunk: Buffer) => {
    heard += chunk.toString();
    if (heard.includes('"QMP"')) greeting.resolve(since());
    if (heard.includes('"RESUME"')) resumed.resolve(since());
    const refusal = /"error": ?\{.*/.exec(heard);
    if (refusal !== null) resumed.reject(new Error(`QEMU refused to restore: ${refusal[0]}`));
  });
  const decoder = new FrameDecoder();
  agentPort.on("data", (chunk: Buffer) => {
    for (const { kind, payload } of decoder.push(chunk)) {
      if (kind === FrameKind.data) output.resolve(since());
      else if (kind === FrameKind.control) {
        const message = decodeMessage(payload, "agent→supervisor");
        if (message.type === "Ready") ready.resolve(since());
        if (message.type === "BootFailed" || message.type === "ExecFailed")
          output.reject(new Error(message.message));
      }
    }
  });

  const commands = [["qmp_capabilities"] as const, ...restoreCommands];
  monitor.write(
    commands
      .map(([execute, parameters]) => `${JSON.stringify({ execute, arguments: parameters })}\n`)
      .join(""),
  );
  agentPort.write(Buffer.concat(introduction(argv).map(([stream, message]) => frameOf(stream, message))));
  const outputAt = output.promise.then(async (at) => ({
    at,
    qemuCpu: child.pid === undefined ? 0 : await cpuTimeMs(child.pid).catch(() => 0),
  }));
  const [greetingAt, resumedAt, readyAt, first] = await Promise.all([
    greeting.promise,
    resumed.promise,
    ready.promise,
    outputAt,
  ]);
  return {
    greeting: greetingAt,
    resumed: resumedAt,
    ready: readyAt,
    output: first.at,
    qemuCpu: first.qemuCpu,
  };
}

/** One of QEMU's inherited connections. */
export function connection(child: ChildProcess, fd: number): Duplex {
  const streams: readonly unknown[] = child.stdio;
  const stream = streams[fd] as Duplex | null | undefined;
  if (stream === null || stream === undefined) throw new Error(`QEMU has no descriptor ${fd}`);
  // A connection that is reset because QEMU was killed is no event of its own.
  stream.on("error", () => undefined);
  return stream;
}

function frameOf(stream: number, message: Message): Buffer {
  return encodeFrame(stream, FrameKind.control, encodeMessage(message));
}

/** What the supervisor tells a restored guest, and the request that the SDK makes of a command. */
function introduction(argv: string[]): [stream: number, message: Message][] {
  const now = Date.now();
  return [
    [0, { type: "Seed", protocolVersion: PROTOCOL_VERSION, entropy: randomBytes(64) }],
    [0, { type: "Clock", seconds: Math.floor(now / 1000), nanoseconds: (now % 1000) * 1_000_000 }],
    [
      0,
      { type: "Boot", hostname: "floor", workdir: "", mounts: [], scripts: [], network: null, trust: null },
    ],
    [
      commandStream,
      {
        type: "Exec",
        argv,
        env: ["PATH=/.msb/scripts:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
        cwd: "/",
        user: "",
        tty: false,
        rows: 24,
        cols: 80,
        stdin: "null",
        rlimits: [],
      },
    ],
  ];
}
