import { ProtocolError } from "../errors/index.ts";
import type { BulkKind, Channel } from "../protocol/channel.ts";
import { INITIAL_CREDIT } from "../protocol/credit.ts";
import { FrameKind } from "../protocol/frame.ts";
import type { ExecExitedMessage, ExecFailedMessage, Message } from "../protocol/generated/messages.ts";

/** Who wants to know what becomes of a command. */
export interface SessionSink {
  started(pid: number): void;
  output(kind: BulkKind, payload: Buffer): void;
  /** So many more bytes of stdin may be sent. */
  stdinCredit(bytes: number): void;
  stdinClosed(): void;
  /** The last three: one of them, once, ends the session. */
  failed(message: ExecFailedMessage): void;
  exited(message: ExecExitedMessage): void;
  lost(error: Error): void;
}

/** One command in the guest, seen from the supervisor. */
export class AgentSession {
  readonly #channel: Channel;
  readonly #stream: number;
  readonly #sink: SessionSink;
  readonly #ended: () => void;
  /** What the guest may still send us, and we it. */
  #outputCredit = INITIAL_CREDIT;
  #stdinCredit = INITIAL_CREDIT;
  #started = false;
  #stdinClosed = false;
  #open = true;

  constructor(channel: Channel, stream: number, sink: SessionSink, ended: () => void) {
    this.#channel = channel;
    this.#stream = stream;
    this.#sink = sink;
    this.#ended = ended;
  }

  /** Bytes of output that were received and not granted again. */
  get outputOwed(): number {
    return INITIAL_CREDIT - this.#outputCredit;
  }

  get stdinCredit(): number {
    return this.#stdinCredit;
  }

  grantOutput(bytes: number): void {
    const granted = Math.min(bytes, this.outputOwed);
    if (granted <= 0) return;
    this.#outputCredit += granted;
    this.#send({ type: "Credit", bytes: granted });
  }

  sendStdin(payload: Buffer): void {
    this.#stdinCredit -= payload.length;
    if (this.#open) this.#channel.sendBulk(this.#stream, FrameKind.stdin, payload);
  }

  endStdin(): void {
    this.#send({ type: "StdinEnd" });
  }

  signal(signal: number): void {
    this.#send({ type: "Signal", signal });
  }

  resize(rows: number, cols: number): void {
    this.#send({ type: "Resize", rows, cols });
  }

  receiveOutput(kind: BulkKind, payload: Buffer): void {
    if (kind === FrameKind.stdin) throw new ProtocolError("the guest sent stdin");
    if (!this.#started) throw new ProtocolError("the guest sent output of a command that has not started");
    if (payload.length > this.#outputCredit) {
      throw new ProtocolError(`the guest sent ${payload.length} bytes with credit for ${this.#outputCredit}`);
    }
    this.#outputCredit -= payload.length;
    this.#sink.output(kind, payload);
  }

  receive(message: Message): void {
    switch (message.type) {
      case "ExecStarted":
        if (this.#started) throw new ProtocolError("the guest started a command twice");
        this.#started = true;
        this.#sink.started(message.pid);
        return;
      case "Credit":
        if (message.bytes === 0 || this.#stdinCredit + message.bytes > INITIAL_CREDIT) {
          throw new ProtocolError(`the guest granted credit for ${message.bytes} bytes that were never sent`);
        }
        this.#stdinCredit += message.bytes;
        this.#sink.stdinCredit(message.bytes);
        return;
      case "StdinClosed":
        if (this.#stdinClosed) throw new ProtocolError("the guest closed a command's stdin twice");
        this.#stdinClosed = true;
        this.#sink.stdinClosed();
        return;
      case "ExecFailed":
        if (this.#started) throw new ProtocolError("the guest failed to start a command that it had started");
        this.#end();
        this.#sink.failed(message);
        return;
      case "ExecExited":
        if (!this.#started) throw new ProtocolError("the guest ended a command that it had not started");
        this.#end();
        this.#sink.exited(message);
        return;
      default:
        throw new ProtocolError(`the guest sent ${message.type} on a command's stream`);
    }
  }

  /** The connection to the guest is gone. */
  lose(error: Error): void {
    if (!this.#open) return;
    this.#end();
    this.#sink.lost(error);
  }

  #end(): void {
    this.#open = false;
    this.#ended();
  }

  #send(message: Message): void {
    if (this.#open) this.#channel.send(this.#stream, message);
  }
}
