import { RuntimeError } from "../../errors/index.ts";
import type { BulkKind } from "../../protocol/channel.ts";
import { encodeFailure } from "../../protocol/failure.ts";
import { FrameKind } from "../../protocol/frame.ts";
import type {
  ExecExitedMessage,
  ExecFailedMessage,
  ExecMessage,
  Message,
} from "../../protocol/generated/messages.ts";
import type { LogSource } from "../../store/log-format.ts";
import type { AgentLink } from "../../agent-link/agent-link.ts";
import type { AgentSession, SessionSink } from "../../agent-link/agent-session.ts";
import type { ExecLog } from "../logs/exec-log.ts";
import { Utf8Chunks } from "../logs/utf8-chunks.ts";

/** The client's end of a session: a stream on its connection. */
export interface ClientStream {
  send(message: Message): void;
  sendBulk(kind: BulkKind, payload: Buffer): void;
}

export interface SessionOptions {
  readonly id: number;
  readonly request: ExecMessage;
  readonly agent: AgentLink;
  readonly log: ExecLog;
  /** null for a command that nobody listens to. */
  readonly client: ClientStream;
  readonly activity: () => void;
  readonly ended: (session: Session) => void;
}

const SIGKILL = 9;

/** A command between its client, the guest and the log. */
export class Session implements SessionSink {
  readonly id: number;
  readonly #agentSession: AgentSession;
  readonly #log: ExecLog;
  readonly #tty: boolean;
  readonly #activity: () => void;
  readonly #ended: (session: Session) => void;
  readonly #pieces = new Map<LogSource, Utf8Chunks>();
  #client: ClientStream | null;

  constructor(options: SessionOptions) {
    this.id = options.id;
    this.#log = options.log;
    this.#tty = options.request.tty;
    this.#client = options.client;
    this.#activity = options.activity;
    this.#ended = options.ended;
    this.#agentSession = options.agent.exec(options.request, this);
  }

  /** @throws RuntimeError when the client sends more than it has credit for */
  sendStdin(payload: Buffer): void {
    if (payload.length > this.#agentSession.stdinCredit) {
      throw new RuntimeError("the client sent more stdin than it had credit for");
    }
    this.#agentSession.sendStdin(payload);
  }

  endStdin(): void {
    this.#agentSession.endStdin();
  }

  signal(signal: number): void {
    this.#agentSession.signal(signal);
  }

  resize(rows: number, cols: number): void {
    this.#agentSession.resize(rows, cols);
  }

  /** The client has used so many bytes of output. */
  grantOutput(bytes: number): void {
    if (!this.#log.full) {
      this.#agentSession.grantOutput(bytes);
      return;
    }
    void this.#log.flush().then(() => {
      this.#agentSession.grantOutput(bytes);
    });
  }

  /** The command goes on without a client; its output goes to the log only. */
  release(): void {
    this.#client = null;
    this.grantOutput(this.#agentSession.outputOwed);
  }

  /** The client is gone, and its command with it. */
  abandon(): void {
    this.signal(SIGKILL);
    this.release();
  }

  started(pid: number): void {
    this.#client?.send({ type: "ExecStarted", pid, sessionId: this.id });
  }

  output(kind: BulkKind, payload: Buffer): void {
    this.#activity();
    this.#logOutput(this.#tty ? "output" : kind === FrameKind.stderr ? "stderr" : "stdout", payload);
    if (this.#client === null) this.grantOutput(payload.length);
    else this.#client.sendBulk(kind, payload);
  }

  stdinCredit(bytes: number): void {
    this.#client?.send({ type: "Credit", bytes });
  }

  stdinClosed(): void {
    this.#client?.send({ type: "StdinClosed" });
  }

  failed(message: ExecFailedMessage): void {
    this.#end(message);
  }

  exited(message: ExecExitedMessage): void {
    this.#end(message);
  }

  lost(error: Error): void {
    this.#end(encodeFailure(error));
  }

  #end(message: Message): void {
    for (const [source, pieces] of this.#pieces) {
      const rest = pieces.end();
      if (rest.length > 0) this.#log.write(source, rest, this.id);
    }
    if (this.#log.pending) void this.#log.flush().then(() => this.#report(message));
    else this.#report(message);
  }

  /** Whoever has seen a command end finds in the log what it printed: so this comes once that is written. */
  #report(message: Message): void {
    this.#client?.send(message);
    this.#client = null;
    this.#activity();
    this.#ended(this);
  }

  #logOutput(source: LogSource, payload: Buffer): void {
    let pieces = this.#pieces.get(source);
    if (pieces === undefined) this.#pieces.set(source, (pieces = new Utf8Chunks()));
    const whole = pieces.push(payload);
    if (whole.length > 0) this.#log.write(source, whole, this.id);
  }
}
