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
/** A frame's length has 16 bits. */
const mostDataBytes = 0xffff - headerBytes;
/** A program that ends before it has said anything is not started again for so long, ms. */
const offMs = 60_000;
/** Of starting a program: what passes (errno(3)). */
const passing = new Set(["EMFILE", "ENFILE", "EAGAIN", "ENOMEM"]);

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
  #offUntilMs = 0;
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
    if (data.length > mostDataBytes || performance.now() < this.#offUntilMs) return false;
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
    const child = (this.#child ??= this.#start(this.#program));
    // Without descriptors there is none, whatever Node's types say.
    const stdin = child.stdin as ChildProcess["stdin"] | undefined;
    if (stdin && stdin.writableLength < 2 ** 20) stdin.write(frame);
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
    let isGreeted = false;
    // Started again with the next request.
    const ended = (): void => {
      if (this.#child === child) this.#child = null;
    };
    child.on("error", ({ code = "" }: NodeJS.ErrnoException) => {
      ended();
      if (!passing.has(code)) this.#allowed = { 4: false, 6: false };
    });
    child.on("exit", () => {
      ended();
      if (!isGreeted) this.#offUntilMs = performance.now() + offMs;
    });
    const { stdin, stdout } = child as Pick<Partial<typeof child>, "stdin" | "stdout">;
    stdin?.on("error", () => undefined);
    let heard: Buffer = Buffer.alloc(0);
    stdout?.on("data", (chunk: Buffer) => {
      heard = heard.length === 0 ? chunk : Buffer.concat([heard, chunk]);
      if (!isGreeted) {
        if (heard.length < 2) return;
        isGreeted = true;
        this.#allowed = { 4: heard[0] === 1, 6: heard[1] === 1 };
        heard = heard.subarray(2);
      }
      heard = this.#takeFrames(heard);
    });
    return child;
  }

  /** @returns what is no whole frame */
  #takeFrames(heard: Buffer): Buffer {
    let rest = heard;
    for (;;) {
      const end = rest.length < 2 ? Number.POSITIVE_INFINITY : 2 + rest.readUInt16BE();
      if (rest.length < end) return rest;
      this.#take(rest.subarray(2, end));
      rest = rest.subarray(end);
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
