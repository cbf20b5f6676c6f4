import { encodeFailure } from "../../protocol/failure.ts";
import { FrameKind, type DataKind } from "../../protocol/frame.ts";
import type { ExecExitedMessage, ExecFailedMessage, Message } from "../../protocol/generated/messages.ts";
import type { Stream, StreamHandler } from "../../protocol/stream.ts";
import { violation } from "../../protocol/violation.ts";
import type { SuspendedCommand } from "../../store/suspension.ts";
import type { LogSource } from "../../store/log-format.ts";
import type { AgentSession, SessionSink } from "../../agent-link/agent-session.ts";
import type { ExecLog } from "../logs/exec-log.ts";
import { Utf8Chunks } from "../logs/utf8-chunks.ts";

/** The client's end of a session: a stream on its connection. */
export type ClientStream = Pick<Stream, "send" | "sendData" | "consume" | "stopSending">;

export interface SessionOptions {
  readonly id: number;
  readonly tty: boolean;
  /** Its process had ended when it was taken over: only others hold its outputs. */
  readonly hasExited?: boolean;
  /** Begins it in the guest, or takes it over. */
  readonly begin: (sink: SessionSink) => AgentSession;
  readonly log: ExecLog;
  /** null: its client is gone, and its output goes to the log only. */
  readonly client: ClientStream | null;
  /** Of a job: how many bytes it has printed already; null: it is none, and nobody counts. */
  readonly printed?: number | null;
  readonly activity: () => void;
  /** Its process has ended, or never was. */
  readonly ended: () => void;
  /** Nothing more comes of it. Others may have held its outputs until now. */
  readonly over: (session: Session) => void;
}

const SIGKILL = 9;

/**
 * A command between its client, the guest and the log. It has ended when its process has; if others hold its outputs then, what
 * they write still goes to the log, and to a client that has not released it.
 */
export class Session implements SessionSink {
  readonly id: number;
  readonly #agentSession: AgentSession;
  readonly #log: ExecLog;
  readonly #tty: boolean;
  readonly #activity: () => void;
  readonly #ended: () => void;
  readonly #over: (session: Session) => void;
  readonly #pieces = new Map<LogSource, Utf8Chunks>();
  #client: ClientStream | null;
  /** Whether the client takes output. */
  #listening = true;
  #running: boolean;
  #logged = true;
  #printed: number | null;
  /** Reports that wait for the log, one after the other. */
  #reports: Promise<void> = Promise.resolve();
  #waitingReports = 0;

  constructor(options: SessionOptions) {
    this.id = options.id;
    this.#log = options.log;
    this.#tty = options.tty;
    this.#running = options.hasExited !== true;
    this.#client = options.client;
    this.#printed = options.printed ?? null;
    this.#activity = options.activity;
    this.#ended = options.ended;
    this.#over = options.over;
    this.#agentSession = options.begin(this);
    if (this.#client === null) this.#ignoreOutput();
  }

  /** What is to be known to go on with it elsewhere. */
  get suspended(): SuspendedCommand {
    const { streamId, hasExited } = this.#agentSession;
    return { stream: streamId, session: this.id, tty: this.#tty, hasExited, job: null };
  }

  /** Bytes that it has printed and that were handed to the log, as far as they are counted. */
  get printed(): number {
    return this.#printed ?? 0;
  }

  /** Bytes of its standard input that may be sent to it. */
  get stdinRoom(): number {
    return this.#agentSession.stdinRoom;
  }

  /** Whether that has ended, or it takes none any more. */
  get stdinOver(): boolean {
    return this.#agentSession.stdinOver;
  }

  /** What to do about what the client sends on its stream. */
  get clientHandler(): StreamHandler {
    return {
      message: (message) => {
        this.#receive(message);
      },
      data: (_kind, payload) => {
        this.#agentSession.sendStdin(payload);
      },
      credit: (bytes) => {
        if (this.#listening) this.#grantOutput(bytes);
      },
      stopSending: () => {
        this.#ignoreOutput();
      },
      ended: () => {
        this.#agentSession.endStdin();
      },
      aborted: () => {
        this.#abandon();
      },
      lost: () => {
        this.#abandon();
      },
    };
  }

  started(pid: number): void {
    this.#client?.send({ type: "ExecStarted", pid, sessionId: this.id });
  }

  output(kind: DataKind, payload: Buffer): void {
    // What is left in the background does not keep a sandbox from being idle.
    if (this.#running) this.#activity();
    if (this.#logged)
      this.#logOutput(this.#tty ? "output" : kind === FrameKind.extra ? "stderr" : "stdout", payload);
    if (this.#listening) this.#client?.sendData(kind, payload);
    else this.#grantOutput(payload.length);
  }

  stdinCredit(bytes: number): void {
    this.#client?.consume(bytes);
  }

  stdinClosed(): void {
    this.#client?.stopSending();
  }

  failed(message: ExecFailedMessage): void {
    this.#end(message);
  }

  exited(message: ExecExitedMessage): void {
    this.#report(() => {
      this.#client?.send(message);
      this.#noteEnd();
    });
  }

  outputsEnded(): void {
    this.#end({ type: "OutputsEnded" });
  }

  lost(error: Error): void {
    this.#end(encodeFailure(error));
  }

  #receive(message: Message): void {
    switch (message.type) {
      case "Signal":
        this.#agentSession.signal(message.signal);
        return;
      case "Resize":
        this.#agentSession.resize(message.rows, message.cols);
        return;
      case "Unlogged":
        this.#logged = false;
        return;
      case "Release":
        this.#client?.send({ type: "Done" });
        this.#release();
        return;
      default:
        throw violation(`${message.type} on a command's stream`);
    }
  }

  /** The client has used so many bytes of output. */
  #grantOutput(bytes: number): void {
    if (!this.#logged || !this.#log.full) {
      this.#agentSession.grantOutput(bytes);
      return;
    }
    void this.#log.flush().then(() => {
      this.#agentSession.grantOutput(bytes);
    });
  }

  /** The command goes on without a client; its output goes to the log only. */
  #release(): void {
    this.#client = null;
    this.#ignoreOutput();
  }

  /** From now on output goes to the log only, and holds nobody up. */
  #ignoreOutput(): void {
    if (!this.#listening) return;
    this.#listening = false;
    this.#grantOutput(this.#agentSession.outputOwed);
  }

  /** The client is gone, and its command with it; but nobody who has outlived that. */
  #abandon(): void {
    if (this.#running) this.#agentSession.signal(SIGKILL);
    this.#release();
  }

  #end(message: Message): void {
    this.#report(() => {
      this.#client?.send(message);
      this.#client = null;
      this.#noteEnd();
      this.#over(this);
    });
  }

  #noteEnd(): void {
    if (!this.#running) return;
    this.#running = false;
    this.#activity();
    this.#ended();
  }

  /** Whoever has seen a command end finds in the log what it printed: so this comes once that is written. */
  #report(report: () => void): void {
    for (const [source, pieces] of this.#pieces) {
      const rest = pieces.end();
      if (rest.length > 0) this.#write(source, rest);
    }
    this.#log.endLines(this.id);
    if (this.#waitingReports === 0 && !this.#log.pending) {
      report();
      return;
    }
    this.#waitingReports++;
    this.#reports = this.#reports
      .then(() => this.#log.flush())
      .then(() => {
        this.#waitingReports--;
        report();
      });
  }

  #logOutput(source: LogSource, payload: Buffer): void {
    let pieces = this.#pieces.get(source);
    if (pieces === undefined) this.#pieces.set(source, (pieces = new Utf8Chunks()));
    const whole = pieces.push(payload);
    if (whole.length > 0) this.#write(source, whole);
  }

  #write(source: LogSource, data: Buffer): void {
    this.#log.write(source, data, this.id, this.#printed);
    if (this.#printed !== null) this.#printed += data.length;
  }
}
