import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { EventEmitter, once } from "node:events";
import { takeReads } from "../../../src/host/system/shared-read-buffer.ts";
import type { Machine } from "../../../src/machine/machine.ts";
import { encodeFrame, FrameDecoder, FrameKind } from "../../../src/protocol/frame.ts";
import {
  decodeMessage,
  encodeMessage,
  PROTOCOL_VERSION,
  type BootMessage,
  type Message,
} from "../../../src/protocol/generated/messages.ts";

/** The messages of the guest's agent, in order, and a way to answer. */
export class Agent {
  readonly #machine: Machine;
  readonly #decoder = new FrameDecoder();
  readonly #received: Message[] = [];
  /** `data` when something has come. */
  readonly #arrivals = new EventEmitter();
  #stdout = "";

  constructor(machine: Machine) {
    this.#machine = machine;
    takeReads(machine.agentPort, (bytes) => {
      // They are lent.
      for (const { kind, payload } of this.#decoder.push(Buffer.from(bytes))) {
        if (kind === FrameKind.data) this.#stdout += payload.toString();
        if (kind !== FrameKind.control) continue;
        const message = decodeMessage(payload, "agent→supervisor");
        // It comes unasked, on a stream of the agent's own.
        if (message.type !== "Events") this.#received.push(message);
      }
      this.#arrivals.emit("data");
    });
  }

  send(stream: number, message: Message): void {
    this.#machine.agentPort.write(encodeFrame(stream, FrameKind.control, encodeMessage(message)));
  }

  /** The next message, which has to be of this type. */
  async next<T extends Message["type"]>(type: T): Promise<Extract<Message, { type: T }>> {
    while (this.#received.length === 0) {
      if (this.#machine.agentPort.readableEnded) {
        assert.fail(`the guest ended before ${type}: ${this.#machine.consoleTail}`);
      }
      const over = new AbortController();
      const { signal } = over;
      const port = this.#machine.agentPort;
      await Promise.race([once(this.#arrivals, "data", { signal }), once(port, "end", { signal })]);
      over.abort();
    }
    const message = this.#received.shift();
    assert.equal(message?.type, type, JSON.stringify(message));
    return message as Extract<Message, { type: T }>;
  }

  /** From AgentHello to a mounted root file system. */
  async boot(mounts: BootMessage["mounts"] = []): Promise<void> {
    await this.next("AgentHello");
    this.introduce(mounts);
    await this.next("Mounted");
    await this.next("Ready");
  }

  /** Everything a guest is told, in one go. */
  introduce(mounts: BootMessage["mounts"] = []): void {
    this.seed();
    this.send(0, { type: "Clock", seconds: Math.floor(Date.now() / 1000), nanoseconds: 0 });
    this.send(0, {
      type: "Mount",
      root: {
        layered: { lower: { serial: "lower", fsType: "erofs" }, upperSerial: "upper", upperSizeMib: 0 },
        shared: null,
        disk: null,
      },
      tmpSizeMib: 16,
      programs: [],
      network: null,
      trust: null,
    });
    // A guest may be saved once it has its root, so it wants to be seeded again.
    this.seed();
    this.send(0, {
      type: "Boot",
      hostname: "machine-test",
      workdir: "",
      mounts,
      scripts: [],
      network: null,
      trust: null,
    });
  }

  seed(): void {
    this.send(0, { type: "Seed", protocolVersion: PROTOCOL_VERSION, entropy: randomBytes(32) });
  }

  runAsRoot(...argv: string[]): void {
    const terminal = { tty: false, rows: 0, cols: 0 };
    const env = ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"];
    this.send(1, { type: "Exec", argv, env, cwd: "/", user: "0", ...terminal, stdin: "null", rlimits: [] });
  }
  /** Waits until the command that runs has printed something. */
  async printed(text: string): Promise<void> {
    while (!this.#stdout.includes(text)) await once(this.#arrivals, "data");
  }

  /** All that it has printed. */
  get stdout(): string {
    return this.#stdout;
  }

  /** Standard output of a script that must succeed. There can be one in a machine's life: its stream is not free again. */
  async output(script: string): Promise<string> {
    this.runAsRoot("sh", "-c", script);
    await this.next("ExecStarted");
    const { code } = await this.next("ExecExited");
    assert.equal(code, 0, this.#stdout);
    return this.#stdout;
  }
}
