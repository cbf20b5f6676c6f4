import { spawn, type ChildProcess } from "node:child_process";
import { IpAddress, type Family } from "../../../host/ip/address.ts";

/** An answer to what was asked. */
export type EchoAnswered = (data: Buffer) => void;

interface Waiting {
  readonly address: string;
  readonly answered: EchoAnswered;
  readonly untilMs: number;
}

/** How long an answer is waited for, ms. */
const waitMs = 5_000;
/** Requests that wait for one; more are dropped, as a busy router may. */
const mostWaiting = 256;
/** Before the data of a frame: the address and the sequence number (agent/src/echo.rs). */
const addressBytes = 16;
const headerBytes = addressBytes + 2;

/**
 * Asks for echoes (ping) in the host's name. The kernel has sockets for that which take no privilege (icmp(7)), and Node has not: the
 * agent's program, run on the host, has them. It is started with the first request and ends with this process, whatever becomes of it.
 */
export class HostEcho {
  readonly #program: string | null;
  readonly #waiting = new Map<number, Waiting>();
  #child: ChildProcess | null = null;
  /** Which families this host allows; null while that is unknown. */
  #allowed: Readonly<Record<Family, boolean>> | null = null;
  /** What it has said, as far as it is no whole frame. */
  #heard: Buffer = Buffer.alloc(0);
  #next = 0;
  #isClosed = false;

  /** @param program the agent's, built for this host; null: there is none */
  constructor(program: string | null) {
    this.#program = program;
  }

  /**
   * @param data copied
   * @returns false when this host has no way to ask, as far as is known by now
   */
  ask(address: IpAddress, data: Buffer, answered: EchoAnswered): boolean {
    if (this.#program === null || this.#isClosed || this.#allowed?.[address.family] === false) return false;
    this.#expire();
    if (this.#waiting.size >= mostWaiting) return true;
    const sequence = this.#next;
    this.#next = (this.#next + 1) & 0xffff;
    this.#waiting.set(sequence, {
      address: address.toString(),
      answered,
      untilMs: performance.now() + waitMs,
    });
    const frame = Buffer.alloc(2 + headerBytes + data.length);
    frame.writeUInt16BE(headerBytes + data.length);
    if (address.family === 4) {
      frame.writeUInt16BE(0xffff, 2 + 10);
      frame.set(address.bytes, 2 + 12);
    } else frame.set(address.bytes, 2);
    frame.writeUInt16BE(sequence, 2 + addressBytes);
    frame.set(data, 2 + headerBytes);
    const { stdin } = (this.#child ??= this.#start(this.#program));
    if (stdin !== null && stdin.writableLength < 2 ** 20) stdin.write(frame);
    return true;
  }

  close(): void {
    this.#isClosed = true;
    this.#waiting.clear();
    this.#child?.stdin?.end();
    this.#child?.kill("SIGKILL");
  }

  #start(program: string): ChildProcess {
    const child = spawn(program, ["--echo"], { stdio: ["pipe", "pipe", "ignore"], cwd: "/", env: {} });
    child.unref();
    child.on("error", () => {
      this.#allowed = { 4: false, 6: false };
    });
    child.on("exit", () => {
      // Started again with the next request.
      if (this.#child === child) this.#child = null;
      this.#heard = Buffer.alloc(0);
    });
    child.stdin.on("error", () => undefined);
    let isGreeted = false;
    child.stdout.on("data", (chunk: Buffer) => {
      this.#heard = this.#heard.length === 0 ? chunk : Buffer.concat([this.#heard, chunk]);
      if (!isGreeted) {
        if (this.#heard.length < 2) return;
        isGreeted = true;
        this.#allowed = { 4: this.#heard[0] === 1, 6: this.#heard[1] === 1 };
        this.#heard = this.#heard.subarray(2);
      }
      this.#takeFrames();
    });
    return child;
  }

  #takeFrames(): void {
    for (;;) {
      const { length } = this.#heard;
      const end = length < 2 ? Number.POSITIVE_INFINITY : 2 + this.#heard.readUInt16BE();
      if (length < end) return;
      this.#take(this.#heard.subarray(2, end));
      this.#heard = this.#heard.subarray(end);
    }
  }

  #take(frame: Buffer): void {
    if (frame.length < headerBytes) return;
    const sequence = frame.readUInt16BE(addressBytes);
    const waiting = this.#waiting.get(sequence);
    const from = IpAddress.read(frame, 0, 6).unmapped().toString();
    if (waiting === undefined || waiting.address !== from) return;
    this.#waiting.delete(sequence);
    if (performance.now() < waiting.untilMs) waiting.answered(frame.subarray(headerBytes));
  }

  /** In the order in which they were asked. */
  #expire(): void {
    const now = performance.now();
    for (const [sequence, { untilMs }] of this.#waiting) {
      if (untilMs > now) return;
      this.#waiting.delete(sequence);
    }
  }
}
