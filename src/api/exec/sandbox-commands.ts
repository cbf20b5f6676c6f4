import { built } from "../../config/checks.ts";
import type { EnvInput } from "../../config/env.ts";
import { refuseUnknownKeys } from "../../config/keys/unknown-keys.ts";
import type { WaitOptions } from "../../host/operation.ts";
import { attachCommand, defaultCommand, runCommand, startCommand } from "./exec.ts";
import type { ExecHandle } from "./exec-handle.ts";
import { AttachOptionsBuilder, ExecOptionsBuilder } from "./exec-options.ts";
import type { ExecOutput } from "./exec-output.ts";
import type { Job } from "../jobs/job.ts";
import { SandboxLifecycle } from "../sandbox/lifecycle.ts";

/** A command with its options as one object. */
export interface ExecConfig {
  readonly cmd: string;
  readonly args?: readonly string[];
  readonly cwd?: string;
  readonly user?: string;
  readonly env?: EnvInput;
  readonly timeoutMs?: number;
  readonly maxOutputBytes?: number;
  /** `"null"`, `"pipe"`, or the content itself. */
  readonly stdin?: string | Uint8Array;
  readonly tty?: boolean;
}

/** An interactive command with its options as one object. */
export interface AttachConfig {
  readonly cmd: string;
  readonly args?: readonly string[];
  readonly cwd?: string;
  readonly user?: string;
  readonly env?: EnvInput;
  readonly detachKeys?: string;
}

const commonKeys = ["cmd", "args", "cwd", "user", "env"] as const;
const execConfigKeys: readonly (keyof ExecConfig)[] = [
  ...commonKeys,
  ...(["timeoutMs", "maxOutputBytes", "stdin", "tty"] as const),
];
const attachConfigKeys: readonly (keyof AttachConfig)[] = [...commonKeys, "detachKeys"];

type ConfigureExec = (options: ExecOptionsBuilder) => ExecOptionsBuilder;
type ConfigureAttach = (options: AttachOptionsBuilder) => AttachOptionsBuilder;

const asIs = <T>(options: T): T => options;

/**
 * Running commands in a sandbox; what {@link Sandbox} offers for it.
 *
 * Every method takes `{ signal, timeoutMs }` as its last argument. When it is given up by them, with the signal's reason or an
 * OperationTimeoutError, the command is killed; a started stream goes on: its handle has its own. An option `timeout()` of the
 * command counts its own time, and ends it with ExecTimeoutError.
 */
export abstract class SandboxCommands<Sandbox> extends SandboxLifecycle<Sandbox> {
  /**
   * Runs a program to its end and gathers what it prints, at most 100 MiB of each of stdout and stderr (`maxOutput` changes that). No
   * shell is involved; standard input is /dev/null. An exit code other than 0 is a result, not an error.
   *
   * @param program a path with a `/` as it is, else searched in the command's PATH
   * @throws ExecFailedError when it cannot be started; SandboxNotRunningError; RuntimeError when the sandbox ends meanwhile
   *
   * @example
   * ```ts
   * import { Sandbox } from "microsandbox";
   *
   * await using sandbox = await Sandbox.builder("exec-example").image("localhost/base").replace().create();
   * const output = await sandbox.exec("echo", ["hello"]);
   * console.log(output.code, output.stdout()); // 0 hello
   * ```
   */
  async exec(program: string, args: Iterable<string> = [], wait: WaitOptions = {}): Promise<ExecOutput> {
    return await this.execWith(program, (options) => options.args(args), wait);
  }

  /**
   * Like {@link exec}, with options. Nobody could write to a piped standard input here, so it is at its end from the start.
   *
   * @throws ExecTimeoutError; InvalidConfigError for a bad option
   */
  async execWith(program: string, configure: ConfigureExec, wait: WaitOptions = {}): Promise<ExecOutput> {
    return await runCommand(
      this.control,
      program,
      built("execWith", configure, new ExecOptionsBuilder()).build(),
      wait,
    );
  }

  /** Starts a program and tells what happens to it as it happens. */
  async execStream(
    program: string,
    args: Iterable<string> = [],
    wait: WaitOptions = {},
  ): Promise<ExecHandle> {
    return await this.execStreamWith(program, (options) => options.args(args), wait);
  }

  /** Like {@link execStream}, with options. */
  async execStreamWith(
    program: string,
    configure: ConfigureExec,
    wait: WaitOptions = {},
  ): Promise<ExecHandle> {
    return await startCommand(
      this.control,
      program,
      built("execStreamWith", configure, new ExecOptionsBuilder()).build(),
      wait,
    );
  }

  /**
   * Starts a program that nobody holds: it goes on after this process, until it or the sandbox ends. What it prints goes to the sandbox's log.
   * Resolves when it runs, and is known to `listJobs()`. Given up before, it is killed.
   *
   * @throws ExecFailedError when it cannot be started; SandboxNotRunningError; RuntimeError, also for more than 1000; IoError
   *
   * @example
   * ```ts
   * import { Sandbox } from "microsandbox";
   *
   * await using sandbox = await Sandbox.builder("detached-example").image("localhost/base").replace().create();
   * const job = await sandbox.execDetached("sh", ["-c", "echo started; sleep 1; echo done"]);
   * for await (const entry of await job.followLogs()) process.stdout.write(entry.data);
   * console.log((await job.wait()).success); // prints true
   * ```
   */
  async execDetached(program: string, args: Iterable<string> = [], wait: WaitOptions = {}): Promise<Job> {
    return await this.execDetachedWith(program, (options) => options.args(args), wait);
  }

  /**
   * Like {@link execDetached}, with options. With `timeout()` the sandbox kills it when it has run so long, which `wait()` tells as `timedOut`;
   * the time in which the sandbox is paused or suspended does not count. With `stdinPipe()` its input stays open until `job.eof()`, whoever
   * attaches and writes; `stdinBytes()` may have 1 MiB. `maxOutput()` bounds nothing, as for streams.
   *
   * @throws InvalidConfigError for a bad option, and for `logged(false)`: its output would be nowhere
   */
  async execDetachedWith(program: string, configure: ConfigureExec, wait: WaitOptions = {}): Promise<Job> {
    const options = built("execDetachedWith", configure, new ExecOptionsBuilder()).build();
    const { startJob } = await import("../jobs/start-job.ts");
    return await startJob(this.control, program, options, wait);
  }

  /** Runs a program described by an object. */
  async execWithConfig(config: ExecConfig, wait: WaitOptions = {}): Promise<ExecOutput> {
    refuseUnknownKeys("", config, execConfigKeys);
    return await this.execWith(config.cmd, fromExecConfig(config), wait);
  }

  /** Starts a program described by an object. */
  async execStreamWithConfig(config: ExecConfig, wait: WaitOptions = {}): Promise<ExecHandle> {
    refuseUnknownKeys("", config, execConfigKeys);
    return await this.execStreamWith(config.cmd, fromExecConfig(config), wait);
  }

  /** Runs a script in the sandbox's shell: `sh -c script`. */
  async shell(script: string, wait: WaitOptions = {}): Promise<ExecOutput> {
    return await this.exec(this.control.record.config.shell, ["-c", script], wait);
  }

  /** Starts a script in the sandbox's shell. */
  async shellStream(script: string, wait: WaitOptions = {}): Promise<ExecHandle> {
    return await this.execStream(this.control.record.config.shell, ["-c", script], wait);
  }

  /**
   * Runs a program on this process's terminal, interactively.
   *
   * @returns its exit code; -1 when the user pressed the detach keys (`ctrl-]`), the program then goes on
   * @throws TerminalError when standard input is no terminal
   */
  async attach(program: string, args: Iterable<string> = [], wait: WaitOptions = {}): Promise<number> {
    return await this.attachWith(program, (options) => options.args(args), wait);
  }

  /** Like {@link attach}, with options. */
  async attachWith(program: string, configure: ConfigureAttach, wait: WaitOptions = {}): Promise<number> {
    return await attachCommand(
      this.control,
      program,
      built("attachWith", configure, new AttachOptionsBuilder()).build(),
      wait,
    );
  }

  /** Runs a program described by an object on this process's terminal. */
  async attachWithConfig(config: AttachConfig, wait: WaitOptions = {}): Promise<number> {
    refuseUnknownKeys("", config, attachConfigKeys);
    return await this.attachWith(
      config.cmd,
      (options) => {
        options.args(config.args ?? []).envs(config.env ?? {});
        if (config.cwd !== undefined) options.cwd(config.cwd);
        if (config.user !== undefined) options.user(config.user);
        if (config.detachKeys !== undefined) options.detachKeys(config.detachKeys);
        return options;
      },
      wait,
    );
  }

  /** Runs the sandbox's shell on this process's terminal. */
  async attachShell(wait: WaitOptions = {}): Promise<number> {
    return await this.attach(this.control.record.config.shell, [], wait);
  }

  /** Runs ENTRYPOINT and CMD. @throws NoDefaultCommandError when there is neither */
  async execDefault(wait: WaitOptions = {}): Promise<ExecOutput> {
    return await this.execDefaultWith(asIs, wait);
  }

  /** Like {@link execDefault}; arguments given here follow CMD. */
  async execDefaultWith(configure: ConfigureExec, wait: WaitOptions = {}): Promise<ExecOutput> {
    const { program, args } = defaultCommand(this.control.record.config, this.control.name);
    return await this.execWith(program, (options) => configure(options.args(args)), wait);
  }

  /** Starts ENTRYPOINT and CMD. */
  async execDefaultStream(wait: WaitOptions = {}): Promise<ExecHandle> {
    return await this.execDefaultStreamWith(asIs, wait);
  }

  /** Like {@link execDefaultStream}, with options. */
  async execDefaultStreamWith(configure: ConfigureExec, wait: WaitOptions = {}): Promise<ExecHandle> {
    const { program, args } = defaultCommand(this.control.record.config, this.control.name);
    return await this.execStreamWith(program, (options) => configure(options.args(args)), wait);
  }

  /** Runs ENTRYPOINT and CMD on this process's terminal. */
  async attachDefault(wait: WaitOptions = {}): Promise<number> {
    return await this.attachDefaultWith(asIs, wait);
  }

  /** Like {@link attachDefault}, with options. */
  async attachDefaultWith(configure: ConfigureAttach, wait: WaitOptions = {}): Promise<number> {
    const { program, args } = defaultCommand(this.control.record.config, this.control.name);
    return await this.attachWith(program, (options) => configure(options.args(args)), wait);
  }
}

function fromExecConfig(config: ExecConfig): ConfigureExec {
  return (options) => {
    options.args(config.args ?? []).envs(config.env ?? {});
    options.tty(config.tty ?? false);
    if (config.cwd !== undefined) options.cwd(config.cwd);
    if (config.user !== undefined) options.user(config.user);
    if (config.timeoutMs !== undefined) options.timeout(config.timeoutMs);
    if (config.maxOutputBytes !== undefined) options.maxOutput(config.maxOutputBytes);
    const { stdin } = config;
    if (stdin === "pipe") options.stdinPipe();
    else if (stdin !== undefined && stdin !== "null") options.stdinBytes(stdin);
    return options;
  };
}
