import type { ServerChannel, Session } from "ssh2";
import type { GuestCommand, GuestCommandLine, GuestTerminal, SshGuest } from "../guest.ts";
import { hangUp, passOutput } from "./command-end.ts";
import type { GuestUser } from "./guest-users.ts";
import { sshLimits } from "./limits.ts";
import { OpenChannel } from "./open-channel.ts";
import { signalName, signalNumber } from "./signals.ts";
import type { Transport } from "./transport.ts";

/** What all sessions of a connection have in common. */
export interface SessionContext {
  readonly guest: SshGuest;
  readonly user: GuestUser;
  readonly transport: Transport;
  /** Aborted when the connection is over. */
  readonly gone: AbortSignal;
  /** Value of SSH_CONNECTION. */
  readonly peers: string;
  readonly sftp: boolean;
  /** Notes what has to have ended before the connection counts as over. */
  track(work: Promise<void>): void;
  /** Notes a channel; false when the client may have no more, or does not keep to the protocol. */
  admit(channel: OpenChannel): boolean;
  /** Whether a command that loses its client is left running. */
  leaves(): boolean;
}

/** What a client may say of the environment; everything else is refused, as by most servers. */
const allowedVariables = /^(LANG|LANGUAGE|LC_[A-Z_]{1,32}|COLORTERM|NO_COLOR|TZ|GIT_PROTOCOL)$/;
const terminalTypes = /^[\w.+-]{1,64}$/;

/** Serves one session: what is asked for before its command starts, the command, and its end. */
export function serveSession(session: Session, context: SessionContext): void {
  new ServedSession(session, context);
}

class ServedSession {
  readonly #context: SessionContext;
  readonly #env = new Map<string, string>();
  #envBytes = 0;
  #terminal: GuestTerminal | null = null;
  #command: GuestCommand | null = null;
  /** What came before the command had started. */
  #early: ((command: GuestCommand) => void)[] = [];

  constructor(session: Session, context: SessionContext) {
    this.#context = context;
    // Those who do not want an answer get none: then the package gives no function for it.
    type Answer = (() => void) | undefined;
    session.on("pty", (accept: Answer, _reject: Answer, info) => {
      const type = terminalTypes.test(info.term) ? info.term : "xterm";
      // 0 is what one says who has none himself.
      this.#terminal = { rows: size(info.rows) || 24, cols: size(info.cols) || 80, type };
      accept?.();
    });
    session.on("window-change", (accept: Answer, _reject: Answer, info) => {
      const [rows, cols] = [size(info.rows), size(info.cols)];
      this.#tell((command) => void command.resize(rows, cols));
      accept?.();
    });
    session.on("env", (accept: Answer, reject: Answer, { key, val }) => {
      (this.#setVariable(key, val) ? accept : reject)?.();
    });
    session.on("signal", (accept: Answer, reject: Answer, { name }) => {
      const number = signalNumber(name);
      if (number !== null) this.#tell((command) => void command.signal(number));
      (number === null ? reject : accept)?.();
    });
    session.on("shell", (accept) => this.#run(accept(), this.#inShell(["-l"])));
    session.on("exec", (accept, _reject, { command }) => this.#run(accept(), this.#inShell(["-c", command])));
    session.on("subsystem", (accept, reject: Answer, { name }) => {
      if (name === "sftp" && context.sftp) this.#run(accept(), this.#sftp());
      else reject?.();
    });
  }

  #setVariable(key: string, value: string): boolean {
    const bytes = key.length + Buffer.byteLength(value);
    if (!allowedVariables.test(key) || value.includes("\0") || this.#env.size >= sshLimits.variables)
      return false;
    if (this.#envBytes + bytes > sshLimits.environmentBytes) return false;
    this.#envBytes += bytes;
    this.#env.set(key, value);
    return true;
  }

  #tell(say: (command: GuestCommand) => void): void {
    if (this.#command !== null) say(this.#command);
    else if (this.#early.length < sshLimits.variables) this.#early.push(say);
  }

  async #inShell(args: readonly string[]): Promise<GuestCommandLine> {
    return {
      ...this.#line(),
      program: this.#context.guest.shell,
      args,
      terminal: this.#terminal,
      logged: true,
    };
  }

  async #sftp(): Promise<GuestCommandLine> {
    const program = await this.#context.guest.helper();
    return { ...this.#line(), program, args: ["--sftp"], terminal: null, logged: false };
  }

  #line(): Pick<GuestCommandLine, "user" | "cwd" | "env"> {
    const { user, guest, peers } = this.#context;
    const env = new Map(this.#env);
    for (const [key, value] of [
      ["USER", user.name],
      ["LOGNAME", user.name],
      ["HOME", user.home],
      ["SHELL", guest.shell],
      ["SSH_CONNECTION", peers],
    ] as const)
      env.set(key, value);
    return { user: user.spec, cwd: user.home, env };
  }

  /** @param channel none when the client has closed it while it asked */
  #run(channel: ServerChannel | undefined, line: Promise<GuestCommandLine>): void {
    line.catch(() => undefined);
    if (channel === undefined) return;
    const open = new OpenChannel(channel, this.#context.transport, this.#context.gone);
    if (!this.#context.admit(open)) return;
    this.#context.track(this.#serve(open, line));
  }

  async #serve(open: OpenChannel, line: Promise<GuestCommandLine>): Promise<void> {
    try {
      const command = await startAtHome(this.#context.guest, await line);
      this.#command = command;
      for (const say of this.#early.splice(0)) say(command);
      void open.feed(command.takeStdin());
      const end = await passOutput(command, open);
      if (end === null) {
        await (this.#context.leaves() ? command.release() : hangUp(command));
        return;
      }
      const signal = end.signal === null ? null : signalName(end.signal);
      open.exit(signal ?? end.code);
    } catch (error) {
      await this.#fail(open, error);
    }
  }

  async #fail(open: OpenChannel, error: unknown): Promise<void> {
    if (open.closed.aborted) return;
    void open.feed(null);
    const text = error instanceof Error ? error.message : String(error);
    await open.write(Buffer.from(`${text}\n`), "stderr");
    open.exit(255);
  }
}

/** A number of rows or columns as the guest takes it. */
function size(value: number): number {
  return Math.min(value, 0xffff);
}

/** Starts a command in its user's home directory, or, where there is none that he can enter, in `/`, as sshd does. */
export async function startAtHome(guest: SshGuest, line: GuestCommandLine): Promise<GuestCommand> {
  try {
    return await guest.start(line);
  } catch (error) {
    if (line.cwd === "/" || !isAboutDirectory(error)) throw error;
    return await guest.start({ ...line, cwd: "/" });
  }
}

function isAboutDirectory(error: unknown): boolean {
  return error instanceof Error && "kind" in error && error.kind === "bad_cwd";
}
