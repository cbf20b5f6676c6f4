import { RuntimeError } from "../../../../errors/index.ts";
import { HookFailed } from "../../../../network/interception/interception.ts";
import { decodeFailure } from "../../../../protocol/failure.ts";
import { FrameKind, type DataKind } from "../../../../protocol/frame.ts";
import { MAX_DATA_PAYLOAD } from "../../../../protocol/generated/limits.ts";
import type { HookDecidesMessage, Message } from "../../../../protocol/generated/messages.ts";
import type { Stream, StreamHandler } from "../../../../protocol/stream.ts";
import { violation } from "../../../../protocol/violation.ts";

/** Opens a stream to the program that owns the sandbox. @param over called once, when it has ended */
export type OpenStream = (opening: Message, handler: StreamHandler, over: () => void) => Stream;

/** Bytes of bodies that functions have read before they decided, of all of a sandbox. */
export interface KeptBytes {
  left: number;
}

export interface HookCallOptions {
  readonly open: OpenStream;
  readonly opening: Message;
  /** `onRequest` or `onResponse`. */
  readonly name: string;
  /** As long may the function take, and as long again after each piece of the body that it is given. */
  readonly timeoutMs: number;
  readonly kept: KeptBytes;
  readonly over: () => void;
}

/** Of one body. */
const mostKeptBytes = 16 * 1024 * 1024;

/**
 * One call of a function of the program: it decides, and may read the message's body before and after that. Of what it reads before it
 * decides, a copy is kept, so that the message can still have the body that it came with. Both directions wait for who takes them.
 */
export class HookCall implements StreamHandler {
  /** What it does first. @throws HookFailed */
  readonly first: Promise<"reads" | HookDecidesMessage>;
  /** @throws HookFailed */
  readonly decision: Promise<HookDecidesMessage>;
  readonly #options: HookCallOptions;
  readonly #first = Promise.withResolvers<"reads" | HookDecidesMessage>();
  readonly #decision = Promise.withResolvers<HookDecidesMessage>();
  readonly #stream: Stream;
  #state: "asked" | "kept" | "made" | "over" = "asked";
  #failure: HookFailed | null = null;
  #isReading = false;
  #isDeaf = false;
  #hasInputEnded = false;
  /** What is to be sent on, or was read and might be. */
  #out: Buffer[] = [];
  #hasOutputEnded = false;
  #keptBytes = 0;
  /** The rest of a piece that was being given when the function decided. */
  #rest: Buffer | null = null;
  #changes = new Set<() => void>();
  #timer: NodeJS.Timeout;

  constructor(options: HookCallOptions) {
    this.#options = options;
    this.first = this.#first.promise;
    this.decision = this.#decision.promise;
    // Whoever waits is told; nobody has to.
    this.first.catch(() => undefined);
    this.decision.catch(() => undefined);
    this.#timer = setTimeout(() => this.#late(), options.timeoutMs);
    try {
      this.#stream = options.open(options.opening, this, options.over);
    } catch (error) {
      clearTimeout(this.#timer);
      throw error;
    }
  }

  /** Whether the function has read of the body. */
  get hasRead(): boolean {
    return this.#isReading;
  }

  /** Whether the function wants nothing more of the body. */
  get isDeaf(): boolean {
    return this.#isDeaf;
  }

  /** Nobody waits for it any more. */
  cancel(): void {
    this.#end(new HookFailed(503, "nobody waits for the function any more"));
  }

  /** The message's own body. */
  push(bytes: Buffer): void | Promise<void> {
    if (this.#state === "kept") return this.#passOn(bytes);
    return this.#state === "asked" || this.#isHeard ? this.#give(bytes) : undefined;
  }

  async end(): Promise<void> {
    if (this.#hasInputEnded) return;
    this.#hasInputEnded = true;
    if (this.#state === "kept") this.#endOutput();
    else {
      await this.#giveRest();
      if (this.#isHeard) this.#stream.end();
    }
  }

  /** The body that is sent. @throws HookFailed */
  async read(): Promise<Buffer | null> {
    for (;;) {
      const bytes = this.#out.shift();
      if (bytes !== undefined) {
        this.#taken(bytes.length);
        return bytes;
      }
      if (this.#failure !== null) throw this.#failure;
      if (this.#hasOutputEnded) return null;
      await this.#change();
    }
  }

  message(message: Message): void {
    switch (message.type) {
      case "HookReads":
        if (this.#isReading) throw violation("HookReads twice");
        this.#isReading = true;
        this.#first.resolve("reads");
        break;
      case "HookDecides":
        if (this.#state !== "over") this.#decide(message);
        break;
      case "HookDone":
        if (this.#state === "asked") this.#end(this.#failed("has decided nothing"));
        else if (this.#state === "made") this.#endOutput();
        break;
      case "Failure":
        // A body that was made is broken off; one that came with the message needs the function no more.
        if (this.#state !== "kept") this.#end(new HookFailed(502, decodeFailure(message).message));
        break;
      default:
        throw violation(`not of this service: ${message.type}`);
    }
    this.#changed();
  }

  data(_kind: DataKind, payload: Buffer): void {
    if (this.#state === "asked") throw violation("a body before HookDecides");
    if (this.#state !== "made") this.#consume(payload.length);
    else {
      this.#out.push(Buffer.from(payload));
      this.#changed();
    }
  }

  credit(): void {
    this.#changed();
  }

  stopSending(): void {
    this.#isDeaf = true;
    this.#changed();
  }

  lost(): void {
    if (this.#state !== "kept") this.#end(new HookFailed(503, "the program of the sandbox is gone"));
  }

  /** Whether the function may want the message's own body. */
  get #isHeard(): boolean {
    return !this.#isDeaf && !this.#stream.over && (this.#state === "asked" || this.#state === "made");
  }

  #decide(decision: HookDecidesMessage): void {
    if (this.#state !== "asked") throw violation("HookDecides twice");
    clearTimeout(this.#timer);
    if (decision.body === "kept") {
      this.#state = "kept";
      if (this.#hasInputEnded) this.#endOutput();
    } else {
      this.#state = "made";
      this.#forget();
    }
    this.#decision.resolve(decision);
    this.#first.resolve(decision);
  }

  async #give(bytes: Buffer): Promise<void> {
    if (this.#state === "asked" && !this.#keep(bytes)) return;
    await this.#giveRest();
    await this.#send(bytes);
  }

  async #giveRest(): Promise<void> {
    const rest = this.#rest;
    this.#rest = null;
    if (rest !== null) await this.#send(rest);
  }

  async #send(bytes: Buffer): Promise<void> {
    const stream = this.#stream;
    const before = this.#state;
    let rest = bytes;
    // Until it has decided, one that has read enough lets the rest wait.
    while (rest.length > 0 && (this.#state === "asked" || this.#isHeard)) {
      const count =
        this.#isReading && this.#isHeard ? Math.min(rest.length, stream.credit, MAX_DATA_PAYLOAD) : 0;
      if (count > 0) {
        stream.sendData(FrameKind.data, rest.subarray(0, count));
        rest = rest.subarray(count);
        if (this.#state === "asked") this.#timer.refresh();
        continue;
      }
      await this.#change();
      if (this.#state === before) continue;
      // Whoever gives waits to hear of the decision.
      if (this.#state === "made") this.#rest = Buffer.from(rest);
      return;
    }
  }

  /** @returns false when there is too much of it: then the function has failed */
  #keep(bytes: Buffer): boolean {
    const { kept } = this.#options;
    if (this.#keptBytes + bytes.length > mostKeptBytes || bytes.length > kept.left) {
      this.#end(this.#failed("has read more of a body than can be kept before it decides"));
      return false;
    }
    kept.left -= bytes.length;
    this.#keptBytes += bytes.length;
    this.#out.push(Buffer.from(bytes));
    return true;
  }

  /** Of a body that stays: no more than one piece waits. */
  async #passOn(bytes: Buffer): Promise<void> {
    while (this.#out.length > 0 && this.#state === "kept") await this.#change();
    if (this.#state !== "kept") return;
    this.#out.push(Buffer.from(bytes));
    this.#changed();
  }

  #taken(bytes: number): void {
    if (this.#state === "made") this.#consume(bytes);
    else {
      const released = Math.min(bytes, this.#keptBytes);
      this.#keptBytes -= released;
      this.#options.kept.left += released;
    }
    this.#changed();
  }

  #consume(bytes: number): void {
    if (!this.#stream.over) this.#stream.consume(bytes);
  }

  #forget(): void {
    this.#options.kept.left += this.#keptBytes;
    this.#keptBytes = 0;
    this.#out = [];
  }

  #endOutput(): void {
    this.#hasOutputEnded = true;
    this.#changed();
  }

  #late(): void {
    this.#end(new HookFailed(504, `the function ${this.#options.name} has not answered in time`));
  }

  #failed(how: string): HookFailed {
    return new HookFailed(502, `the function ${this.#options.name} ${how}`);
  }

  #end(failure: HookFailed): void {
    if (this.#state === "over") return;
    clearTimeout(this.#timer);
    this.#state = "over";
    this.#failure = failure;
    this.#forget();
    this.#first.reject(failure);
    this.#decision.reject(failure);
    this.#stream.abort(new RuntimeError(failure.message));
    this.#changed();
  }

  async #change(): Promise<void> {
    await new Promise<void>((resolve) => this.#changes.add(resolve));
  }

  #changed(): void {
    const waiting = this.#changes;
    this.#changes = new Set();
    for (const wake of waiting) wake();
  }
}
