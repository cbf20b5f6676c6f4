import type { Client, ClientChannel, SFTPWrapper } from "ssh2";
import { OutputTooLongError, RuntimeError, UnsupportedOperationError } from "../../errors/index.ts";
import { Operation, type WaitOptions } from "../../host/operation.ts";
import type { SshGuest } from "../guest.ts";
import { newKey } from "../keys/host-key.ts";
import { loadLibrary } from "../load-library.ts";
import { SshConnection } from "../server/connection.ts";
import { memorySockets } from "./memory-sockets.ts";
import { SftpClient } from "./sftp-client.ts";
import { SshCommand } from "./ssh-command.ts";

/** What a command of an SSH client has printed, and its exit code; 128 + n for one that signal n has ended. */
export interface SshOutput {
  readonly status: number;
  readonly stdout: Buffer;
  readonly stderr: Buffer;
}

export interface SshExecOptions extends WaitOptions {
  /** Whether the command gets a terminal; stdout and stderr are one then. */
  readonly tty?: boolean | undefined;
}

export interface SshAttachOptions extends WaitOptions {
  /** TERM of the guest; by default that of the client, or of this process. */
  readonly term?: string | undefined;
  /** Keys that leave the shell running, as of `attach()`; by default `ctrl-]`. */
  readonly detachKeys?: string | undefined;
}

/** What a client does with the terminal of this process. */
export interface TerminalDoor {
  size(): { readonly rows: number; readonly cols: number; readonly type: string };
  attach(operation: Operation, command: SshCommand, detachKeys: string | undefined): Promise<number>;
  /** @throws TerminalError; InvalidConfigError for keys that are none */
  check(detachKeys: string | undefined): void;
}

/** What a client is opened with. */
export interface SshClientSettings {
  readonly guest: SshGuest;
  readonly user: string;
  readonly term: string | null;
  readonly sftp: boolean;
  readonly inactivityMs: number;
  readonly terminal: TerminalDoor;
}

/** Bytes of each output that exec() gathers. */
const mostOutput = 100 * 1024 * 1024;

/**
 * An SSH client of a sandbox, with its server in this same process: no port, no keys, and the same sessions as those of every other client.
 *
 * @example
 * ```ts
 * import { Sandbox } from "microsandbox";
 *
 * await using sandbox = await Sandbox.builder("client-example").image("localhost/base").replace().create();
 * await using client = await sandbox.ssh().openClient();
 * const { status, stdout } = await client.exec("pwd; exit 3");
 * console.log(status, stdout.toString().trim()); // 3 /root
 * ```
 */
export class SshClient implements AsyncDisposable {
  readonly #client: Client;
  readonly #connection: SshConnection;
  readonly #settings: SshClientSettings;
  readonly #gone: AbortController;

  private constructor(
    client: Client,
    connection: SshConnection,
    settings: SshClientSettings,
    gone: AbortController,
  ) {
    this.#client = client;
    this.#connection = connection;
    this.#settings = settings;
    this.#gone = gone;
  }

  /** @internal */
  static async open(settings: SshClientSettings, operation: Operation): Promise<SshClient> {
    const { guest, user, sftp, inactivityMs } = settings;
    const library = await loadLibrary();
    const [hostKey, ownKey] = await Promise.all([newKey(), newKey()]);
    const [own, host] = [ownKey, hostKey].map((text) => {
      const key = library.utils.parseKey(text);
      if (key instanceof Error) throw key;
      return key;
    });
    if (own === undefined || host === undefined) throw new RuntimeError("no keys could be made");
    const [near, far] = memorySockets();
    const admission = { user, keys: async () => [own] };
    const connection = new SshConnection(far, {
      ...{ guest, library, hostKey, admission, sftp, inactivityMs },
      peers: "UNKNOWN 65535 UNKNOWN 65535",
    });
    const client = new library.Client();
    const gone = new AbortController();
    const ready = Promise.withResolvers<undefined>();
    client.on("ready", () => ready.resolve(undefined));
    client.on("error", () => undefined);
    client.on("close", () => {
      gone.abort();
      ready.reject(
        new RuntimeError(`the SSH session of user ${JSON.stringify(user)} was refused`, {
          hint: "The user has to be one of the guest's /etc/passwd, and the sandbox has to run.",
        }),
      );
    });
    const hostVerifier = (key: Buffer): boolean => key.equals(host.getPublicSSH());
    client.connect({ sock: near, username: user, privateKey: ownKey, hostVerifier });
    void guest.ended(gone.signal).then(
      () => connection.end(),
      () => undefined,
    );
    try {
      await operation.wait(ready.promise);
    } catch (error) {
      near.destroy();
      far.destroy();
      throw error;
    }
    // Not by its name, which a bundle would give it another one for.
    return new this(client, connection, settings, gone);
  }

  /**
   * Runs a command line in the sandbox's shell to its end, in the user's home directory, and gathers what it prints.
   *
   * @throws RuntimeError when the connection ends before it; OutputTooLongError for more than 100 MiB, with which the command is ended
   */
  async exec(command: string, options: SshExecOptions = {}): Promise<SshOutput> {
    const gather = async (operation: Operation): Promise<SshOutput> => {
      const running = await operation.wait(this.#start(command, options.tty === true));
      running
        .takeStdin()
        .close()
        .catch(() => undefined);
      const parts = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
      const bytes = { stdout: 0, stderr: 0 };
      const read = async (): Promise<number> => {
        for await (const event of running) {
          if (event.kind === "exited") return event.code;
          bytes[event.kind] += event.data.length;
          if (bytes[event.kind] > mostOutput) throw tooLong(command);
          parts[event.kind].push(event.data);
        }
        return 0;
      };
      try {
        const status = await operation.wait(read());
        return { status, stdout: Buffer.concat(parts.stdout), stderr: Buffer.concat(parts.stderr) };
      } catch (error) {
        running.abandon();
        throw error;
      }
    };
    return await Operation.run("run a command over SSH", options, gather, { tty: "boolean" });
  }

  /**
   * Starts a command line in the sandbox's shell, or, without one, the user's login shell.
   *
   * @param options `tty`: on a terminal of the size of this process's
   */
  async start(command: string | null, options: SshExecOptions = {}): Promise<SshCommand> {
    const start = (operation: Operation): Promise<SshCommand> =>
      operation.wait(this.#start(command, options.tty === true));
    return await Operation.run("start a command over SSH", options, start, { tty: "boolean" });
  }

  /**
   * Runs the user's login shell on the terminal of this process.
   *
   * @returns its exit code; -1 when the detach keys were pressed: the shell then goes on
   * @throws TerminalError when standard input is no terminal; InvalidConfigError for keys that are none
   */
  async attach(options: SshAttachOptions = {}): Promise<number> {
    const { terminal } = this.#settings;
    const attach = async (operation: Operation): Promise<number> => {
      terminal.check(options.detachKeys);
      const command = await operation.wait(this.#start(null, true, options.term));
      return await terminal.attach(operation, command, options.detachKeys);
    };
    return await Operation.run("run a shell over SSH", options, attach, { term: "any", detachKeys: "any" });
  }

  /** Opens SFTP. @throws UnsupportedOperationError when the client was opened without */
  async sftp(options: WaitOptions = {}): Promise<SftpClient> {
    if (!this.#settings.sftp) {
      throw new UnsupportedOperationError("this SSH client was opened without SFTP", {
        hint: "Leave out sftp: false of openClient().",
      });
    }
    return await Operation.run("open SFTP", options, async (operation) => {
      const opened = new Promise<SFTPWrapper>((resolve, reject) => {
        this.#live().sftp((error, sftp) => {
          if (error === undefined) resolve(sftp);
          else reject(asRuntimeError(error));
        });
      });
      return new SftpClient(await operation.wait(opened), this.#gone.signal);
    });
  }

  /** Ends the connection and what was started on it. Resolves when that has ended. */
  async close(): Promise<void> {
    this.#client.end();
    this.#connection.end();
    await this.#connection.over;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #live(): Client {
    if (!this.#gone.signal.aborted) return this.#client;
    throw new RuntimeError("the SSH connection has ended", { hint: "Open another client: openClient()" });
  }

  async #start(command: string | null, tty: boolean, term?: string): Promise<SshCommand> {
    const { terminal, term: own } = this.#settings;
    const size = terminal.size();
    const pty = { rows: size.rows, cols: size.cols, width: 0, height: 0, term: term ?? own ?? size.type };
    const client = this.#live();
    const channel = await new Promise<ClientChannel>((resolve, reject) => {
      const done = (error: Error | undefined, opened: ClientChannel): void => {
        if (error === undefined) resolve(opened);
        else reject(asRuntimeError(error));
      };
      if (command !== null) client.exec(command, { pty: tty ? pty : false }, done);
      else client.shell(tty ? pty : false, done);
    });
    return new SshCommand(channel, {
      gone: this.#gone.signal,
      leaveNext: () => this.#connection.leaveNext(),
    });
  }
}

function asRuntimeError(error: Error): RuntimeError {
  return new RuntimeError(`the SSH server refused it: ${error.message}`, { cause: error });
}

function tooLong(command: string): OutputTooLongError {
  return new OutputTooLongError(`${JSON.stringify(command)} printed more than 100 MiB`, {
    hint: "Write it to a file in the guest, or start it with execStream() of the sandbox.",
  });
}
