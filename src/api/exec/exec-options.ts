import { InvalidConfigError } from "../../errors/index.ts";
import { checkFlag, checkList, checkWhole, shown } from "../../config/checks.ts";
import { checkEnv, checkEnvPair, type EnvInput, type EnvPair } from "../../config/env.ts";
import { checkArgument, checkPath, checkString } from "../../config/guest-text.ts";
import { parseDetachKeys } from "./detach-keys.ts";
import { checkRlimit, type Rlimit, type RlimitResource } from "../../config/rlimits.ts";
import { checkMaxOutput, defaultMaxOutputBytes } from "./gathered-output.ts";
import { Stdin, type StdinMode } from "./stdin.ts";

/** How one command is to be run. Built by {@link ExecOptionsBuilder}. */
export interface ExecOptions {
  readonly args: readonly string[];
  readonly cwd: string | null;
  readonly user: string | null;
  readonly env: readonly EnvPair[];
  readonly timeoutMs: number | null;
  /** Bytes that are kept of each of stdout and stderr. */
  readonly maxOutputBytes: number;
  readonly stdin: StdinMode;
  readonly tty: boolean;
  /** Of its terminal; null: 24 rows, 80 columns. */
  readonly terminalSize: { readonly rows: number; readonly cols: number } | null;
  /** Whether what it prints is written to the sandbox's log. */
  readonly logged: boolean;
  readonly rlimits: readonly Rlimit[];
}

/** How one interactive command is to be run. Built by {@link AttachOptionsBuilder}. */
export interface AttachOptions {
  readonly args: readonly string[];
  readonly cwd: string | null;
  readonly user: string | null;
  readonly env: readonly EnvPair[];
  readonly detachKeys: string | null;
  readonly rlimits: readonly Rlimit[];
}

/** What both kinds of command have. */
class CommandOptionsBuilder {
  protected readonly argList: string[] = [];
  protected readonly envList: EnvPair[] = [];
  protected readonly rlimitList: Rlimit[] = [];
  protected cwdPath: string | null = null;
  protected userSpec: string | null = null;

  /** Appends one argument. */
  arg(value: string): this {
    this.argList.push(checkArgument("an argument", value));
    return this;
  }

  /** Appends arguments. */
  args(values: Iterable<string>): this {
    for (const value of checkList("args", values)) this.arg(value as string);
    return this;
  }

  /** Working directory in the guest; by default the sandbox's workdir, else `/`. */
  cwd(path: string): this {
    this.cwdPath = checkPath("cwd", path);
    return this;
  }

  /** `name`, `uid`, `user:group` or `uid:gid`; by default the sandbox's user, else root. */
  user(spec: string): this {
    this.userSpec = checkString("user", spec);
    return this;
  }

  /** Sets one environment variable, over the sandbox's. */
  env(key: string, value: string): this {
    this.envList.push(checkEnvPair(key, value));
    return this;
  }

  /** Sets environment variables, over the sandbox's. */
  envs(values: EnvInput): this {
    this.envList.push(...checkEnv("env", values));
    return this;
  }

  /** Sets a resource limit, soft and hard alike. */
  rlimit(resource: RlimitResource, limit: number): this {
    return this.rlimitRange(resource, limit, limit);
  }

  /** Sets a resource limit. */
  rlimitRange(resource: RlimitResource, soft: number, hard: number): this {
    this.rlimitList.push(checkRlimit(resource, soft, hard));
    return this;
  }
}

/**
 * Collects how a command is to be run.
 *
 * @throws InvalidConfigError from the setter that was given something unusable
 *
 * @example
 * ```ts
 * import { ExecOptionsBuilder } from "microsandbox";
 *
 * const options = new ExecOptionsBuilder().args(["-c", "env"]).cwd("/tmp").env("A", "1").timeout(5000).build();
 * console.log(options.timeoutMs); // 5000
 * ```
 */
export class ExecOptionsBuilder extends CommandOptionsBuilder {
  #timeoutMs: number | null = null;
  #stdin: StdinMode = Stdin.null();
  #tty = false;
  #terminalSize: ExecOptions["terminalSize"] = null;
  #logged = true;
  #maxOutputBytes = defaultMaxOutputBytes;

  /** Kills the command after so many milliseconds; the call then rejects with ExecTimeoutError. */
  timeout(ms: number): this {
    if (!Number.isFinite(ms) || ms < 0) {
      throw new InvalidConfigError(`the timeout ${shown(ms)} is not a number of milliseconds`);
    }
    this.#timeoutMs = ms;
    return this;
  }

  /**
   * How much of each of stdout and stderr is kept for the result, in bytes, by default 100 MiB: the beginning. The rest is dropped, which
   * the result tells as `truncated`; the command goes on. Infinity for no bound. Streams are not bounded by it.
   */
  maxOutput(bytes: number): this {
    this.#maxOutputBytes = checkMaxOutput(bytes);
    return this;
  }

  /** Standard input is /dev/null; the default. */
  stdinNull(): this {
    this.#stdin = Stdin.null();
    return this;
  }

  /** Standard input is a pipe; write to it through `handle.takeStdin()`. */
  stdinPipe(): this {
    this.#stdin = Stdin.pipe();
    return this;
  }

  /** Standard input is these bytes, then its end. */
  stdinBytes(data: Uint8Array | string): this {
    this.#stdin = Stdin.bytes(data);
    return this;
  }

  /**
   * Gives the command a terminal of 24 rows and 80 columns. stdout and stderr are then one, and standard input is what is typed: the
   * terminal takes lines of at most 4095 bytes, and acts on bytes such as 0x03 (Ctrl-C) and 0x04 (Ctrl-D, the end).
   * undefined, as `isTTY` may be, is false.
   */
  tty(enabled: boolean | undefined): this {
    this.#tty = enabled !== undefined && checkFlag("tty", enabled);
    return this;
  }

  /** How large its terminal is from the start, with `tty(true)`; by default 24 rows and 80 columns. */
  terminalSize(rows: number, cols: number): this {
    const size = (what: string, value: number): number =>
      checkWhole(`the number of ${what}`, value, 0, 0xffff);
    this.#terminalSize = { rows: size("rows", rows), cols: size("columns", cols) };
    return this;
  }

  /**
   * Whether what the command prints is written to the sandbox's log, `exec.log`; by default it is. Not worth it for what is no text, such
   * as a program that passes files on.
   */
  logged(enabled: boolean): this {
    this.#logged = checkFlag("logged", enabled);
    return this;
  }

  /** @throws InvalidConfigError for input that a terminal would cut */
  build(): ExecOptions {
    if (this.#tty && this.#stdin.kind === "bytes") checkTyped(this.#stdin.data);
    return Object.freeze({
      args: [...this.argList],
      cwd: this.cwdPath,
      user: this.userSpec,
      env: [...this.envList],
      timeoutMs: this.#timeoutMs,
      maxOutputBytes: this.#maxOutputBytes,
      stdin: this.#stdin,
      tty: this.#tty,
      terminalSize: this.#terminalSize,
      logged: this.#logged,
      rlimits: [...this.rlimitList],
    });
  }
}

/** Collects how an interactive command is to be run. */
export class AttachOptionsBuilder extends CommandOptionsBuilder {
  #detachKeys: string | null = null;

  /**
   * Keys that leave the command running and return: a comma list such as `ctrl-p,ctrl-q`; by default `ctrl-]`.
   * A key is `ctrl-` and one of `a`–`z [ \ ] ^ _ @`, or one character.
   */
  detachKeys(spec: string): this {
    parseDetachKeys(spec);
    this.#detachKeys = spec;
    return this;
  }

  build(): AttachOptions {
    return Object.freeze({
      args: [...this.argList],
      cwd: this.cwdPath,
      user: this.userSpec,
      env: [...this.envList],
      detachKeys: this.#detachKeys,
      rlimits: [...this.rlimitList],
    });
  }
}

/** What a terminal keeps of a line, without its end: N_TTY_BUF_SIZE - 1 of Linux's drivers/tty/n_tty.c. It drops the rest in silence. */
const longestTypedLine = 4095;

function checkTyped(data: Uint8Array): void {
  for (let start = 0, end = 0; start < data.length; start = end + 1) {
    end = data.indexOf(0x0a, start);
    if (end === -1) end = data.length;
    if (end - start <= longestTypedLine) continue;
    throw new InvalidConfigError(
      `a line of ${end - start} bytes for standard input is longer than a terminal takes, ${longestTypedLine}`,
      { hint: "Run the command without a terminal: leave out tty()." },
    );
  }
}
