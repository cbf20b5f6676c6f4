import type { AgentLink } from "../../../agent-link/agent-link.ts";
import { AgentSession, type SessionSink } from "../../../agent-link/agent-session.ts";
import { RuntimeError } from "../../../errors/index.ts";
import type { ExecMessage, StartJobMessage } from "../../../protocol/generated/messages.ts";
import type { SuspendedCommand, SuspensionRecord } from "../../../store/suspension.ts";
import type { Job } from "../../jobs/job.ts";
import { Jobs } from "../../jobs/jobs.ts";
import type { Logs } from "../../logs/logs.ts";
import { Session, type ClientStream, type SessionOptions } from "../session.ts";
import type { TimeLimits } from "./time-limits.ts";

export interface GuestCommandsOptions {
  /** Of the sandbox. */
  readonly name: string;
  readonly agent: AgentLink;
  readonly logs: Logs;
  readonly limits: TimeLimits;
  /** One of them has ended. */
  readonly ended: () => void;
}

/** The commands that a guest runs: those that are a client's, and jobs, which are nobody's. */
export class GuestCommands {
  readonly jobs: Jobs;
  readonly #options: GuestCommandsOptions;
  readonly #sessions = new Set<Session>();
  #nextSessionId = 1;
  #count = 0;

  constructor(options: GuestCommandsOptions) {
    const { name, logs } = options;
    this.#options = options;
    this.jobs = new Jobs({ name, book: logs.jobs, log: logs.exec });
  }

  /** How many run. */
  get count(): number {
    return this.#count;
  }

  exec(request: ExecMessage, client: ClientStream): Session {
    return this.#begin(this.#next("", request.argv), request, client, null);
  }

  startJob(request: StartJobMessage): Job {
    const id = this.#next(", a job", request.argv);
    return this.jobs.start(request, id, (client) => this.#begin(id, { ...request, type: "Exec" }, client, 0));
  }

  /** All of them, as whoever goes on with the guest has to know them. */
  captured(): SuspendedCommand[] {
    return [...this.#sessions].map(({ suspended }) => ({
      ...suspended,
      job: this.jobs.captured(suspended),
    }));
  }

  /** Takes over those of a guest that was suspended or copied. */
  takeOver({ open, commands }: SuspensionRecord): void {
    this.#options.agent.takeOver(open, (stream) => {
      const command = commands.find((one) => one.stream === stream.id);
      if (command === undefined) return null;
      const { session: id, tty, hasExited, job } = command;
      this.#nextSessionId = Math.max(this.#nextSessionId, id + 1);
      let handler: AgentSession | null = null;
      const begin = (sink: SessionSink): AgentSession =>
        (handler = AgentSession.adopt(stream, hasExited, sink));
      const session = (client: ClientStream | null, printed: number | null): Session =>
        this.#session({ id, tty, client, hasExited, begin, printed });
      if (job === null || hasExited) session(null, null);
      else this.jobs.adopt(job, (client) => session(client, job.printed));
      return handler;
    });
  }

  /** Their guest is gone. Resolves when their clients know it, and what is known of the jobs is written down. */
  async ended(reason: string): Promise<void> {
    for (const session of [...this.#sessions]) session.lost(new RuntimeError(reason));
    await this.jobs.ended();
  }

  #next(kind: string, argv: readonly string[]): number {
    const id = this.#nextSessionId++;
    this.#options.logs.runtime.write("debug", `session ${id}${kind}: ${JSON.stringify(argv)}`);
    return id;
  }

  #begin(id: number, request: ExecMessage, client: ClientStream, printed: number | null): Session {
    const begin = (sink: SessionSink): AgentSession => this.#options.agent.exec(request, sink);
    return this.#session({ id, tty: request.tty, client, begin, printed });
  }

  #session(
    options: Pick<SessionOptions, "id" | "tty" | "client" | "hasExited" | "begin" | "printed">,
  ): Session {
    const { limits, logs, ended } = this.#options;
    const session = new Session({
      ...options,
      log: logs.exec,
      activity: () => limits.activity(),
      ended: () => {
        this.#count--;
        limits.sessionEnded();
        ended();
      },
      over: (over) => {
        this.#sessions.delete(over);
      },
    });
    this.#sessions.add(session);
    if (options.hasExited === true) return session;
    this.#count++;
    limits.sessionStarted();
    return session;
  }
}
