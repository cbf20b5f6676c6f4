import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { SandboxFsError } from "../../errors/index.ts";
import { guestDirectory } from "../../host/package-files.ts";
import { ioError } from "../../host/system-error.ts";
import type { GuestCommand, GuestCommandLine, SshGuest } from "../../ssh/guest.ts";
import type { WaitOptions } from "../../host/operation.ts";
import type { ExecHandle } from "../exec/exec-handle.ts";
import type { ExecOptionsBuilder } from "../exec/exec-options.ts";
import type { SandboxFs } from "../fs/sandbox-fs.ts";

/** Bytes of a file of users: as much as the guest's agent reads of it. */
const mostUserBytes = 4 * 1024 * 1024;
/** In memory, which every guest has there. */
const directory = "/.msb/bin";

/** What of a sandbox SSH uses. */
export interface SshSandbox {
  readonly name: string;
  readonly config: { readonly shell: string | null };
  fs(): SandboxFs;
  execStreamWith(
    program: string,
    configure: (options: ExecOptionsBuilder) => ExecOptionsBuilder,
  ): Promise<ExecHandle>;
  waitUntilStopped(options: WaitOptions): Promise<unknown>;
}

/** A sandbox as SSH sees it, by calls that every program can make. */
export class GuestDoor implements SshGuest {
  readonly #sandbox: SshSandbox;
  #helper: Promise<string> | null = null;

  constructor(sandbox: SshSandbox) {
    this.#sandbox = sandbox;
  }

  get name(): string {
    return this.#sandbox.name;
  }

  get shell(): string {
    return this.#sandbox.config.shell ?? "/bin/sh";
  }

  async start(line: GuestCommandLine): Promise<GuestCommand> {
    const { program, args, user, cwd, env, terminal, logged } = line;
    const command = await this.#sandbox.execStreamWith(program, (options) => {
      options.args(args).user(user).cwd(cwd).envs(Object.fromEntries(env)).stdinPipe().logged(logged);
      if (terminal === null) return options;
      const { rows, cols, type } = terminal;
      return options.tty(true).terminalSize(rows, cols).env("TERM", type);
    });
    // The first event is that it runs; without it, this is where the reason is thrown.
    await command.recv();
    return command;
  }

  async readUsers(): Promise<string> {
    try {
      const bytes = await this.#sandbox.fs().read("/etc/passwd", { length: mostUserBytes });
      return bytes.toString("utf8");
    } catch (error) {
      if (error instanceof SandboxFsError && error.errnoName === "ENOENT") return "";
      throw error;
    }
  }

  helper(): Promise<string> {
    this.#helper ??= this.#placeHelper().catch((error: unknown) => {
      // The next one tries again.
      this.#helper = null;
      throw error;
    });
    return this.#helper;
  }

  /** The agent's own program, which is everything that is needed in the guest. Its name is its contents', so one that is there will do. */
  async #placeHelper(): Promise<string> {
    const source = join(guestDirectory(), "agent");
    const program = await readFile(source).catch((error: unknown) => {
      throw ioError(`read ${source}`, error);
    });
    const path = `${directory}/agent-${createHash("sha256").update(program).digest("hex").slice(0, 16)}`;
    const fs = this.#sandbox.fs();
    if (await fs.exists(path)) return path;
    await fs.mkdir(directory);
    await fs.write(path, program, { mode: 0o755 });
    return path;
  }

  async ended(signal: AbortSignal): Promise<void> {
    await this.#sandbox.waitUntilStopped({ signal });
  }
}
