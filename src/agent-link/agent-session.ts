import { ProtocolError, RuntimeError } from "../errors/index.ts";
import { FrameKind, type DataKind } from "../protocol/frame.ts";
import type {
  ExecExitedMessage,
  ExecFailedMessage,
  ExecMessage,
  Message,
} from "../protocol/generated/messages.ts";
import type { Stream, StreamHandler } from "../protocol/stream.ts";
import type { Streams } from "../protocol/streams.ts";

/** Who wants to know what becomes of a command. */
export interface SessionSink {
  started(pid: number): void;
  output(kind: DataKind, payload: Buffer): void;
  /** So many more bytes of stdin may be sent. */
  stdinCredit(bytes: number): void;
  stdinClosed(): void;
  /** Its process has ended, and what that had written came before this. Others may hold its outputs: more may follow. */
  exited(message: ExecExitedMessage): void;
  /** The last three: one of them, once, ends the session. */
  failed(message: ExecFailedMessage): void;
  outputsEnded(): void;
  lost(error: Error): void;
}

/** One command in the guest, seen from the supervisor. */
export class AgentSession implements StreamHandler {
  readonly #stream: Stream;
  readonly #sink: SessionSink;
  #started = false;
  #exited = false;

  private constructor(sink: SessionSink, open: (session: AgentSession) => Stream) {
    this.#sink = sink;
    this.#stream = open(this);
  }

  static start(streams: Streams, request: ExecMessage, sink: SessionSink): AgentSession {
    return new AgentSession(sink, (session) => streams.open(request, session));
  }

  /** One that was begun on another link. */
  static adopt(stream: Stream, hasExited: boolean, sink: SessionSink): AgentSession {
    const session = new AgentSession(sink, () => stream);
    session.#started = true;
    session.#exited = hasExited;
    return session;
  }

  /** The number of its stream. */
  get streamId(): number {
    return this.#stream.id;
  }

  get hasExited(): boolean {
    return this.#exited;
  }

  /** Bytes of stdin that may be sent. */
  get stdinRoom(): number {
    return this.#stream.credit;
  }

  /** Whether its stdin has ended, or it takes none any more. */
  get stdinOver(): boolean {
    const { ended, peerStopped } = this.#stream.state;
    return ended || peerStopped;
  }

  /** Bytes of output that were received and not granted again. */
  get outputOwed(): number {
    return this.#stream.held;
  }

  /** So many bytes of output are done with, as far as there were so many. */
  grantOutput(bytes: number): void {
    this.#stream.consume(Math.min(bytes, this.#stream.held));
  }

  /** @throws RangeError for more than there is credit for */
  sendStdin(payload: Buffer): void {
    this.#stream.sendData(FrameKind.data, payload);
  }

  endStdin(): void {
    this.#stream.end();
  }

  signal(signal: number): void {
    this.#stream.send({ type: "Signal", signal });
  }

  resize(rows: number, cols: number): void {
    this.#stream.send({ type: "Resize", rows, cols });
  }

  data(kind: DataKind, payload: Buffer): void {
    if (!this.#started) throw new ProtocolError("the guest sent output of a command that has not started");
    this.#sink.output(kind, payload);
  }

  credit(bytes: number): void {
    this.#sink.stdinCredit(bytes);
  }

  stopSending(): void {
    this.#sink.stdinClosed();
  }

  message(message: Message): void {
    switch (message.type) {
      case "ExecStarted":
        if (this.#started) throw new ProtocolError("the guest started a command twice");
        this.#started = true;
        this.#sink.started(message.pid);
        return;
      case "ExecFailed":
        if (this.#started) throw new ProtocolError("the guest failed to start a command that it had started");
        this.#sink.failed(message);
        return;
      case "ExecExited":
        if (!this.#started) throw new ProtocolError("the guest ended a command that it had not started");
        if (this.#exited) throw new ProtocolError("the guest ended a command twice");
        this.#exited = true;
        this.#sink.exited(message);
        return;
      case "OutputsEnded":
        if (!this.#exited) throw new ProtocolError("the guest ended the outputs of a command that goes on");
        this.#sink.outputsEnded();
        return;
      case "Failure":
        // What kind of error it is, is not for the guest to say.
        this.#sink.lost(new RuntimeError(`the guest gave the command up: ${message.message}`));
        return;
      default:
        throw new ProtocolError(`the guest sent ${message.type} on a command's stream`);
    }
  }

  lost(error: Error): void {
    this.#sink.lost(error);
  }
}
