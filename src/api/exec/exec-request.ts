import type { AttachOptions, ExecOptions } from "./exec-options.ts";
import { argumentsTooLong } from "./exec-failure.ts";
import type { EnvPair } from "../../config/env.ts";
import { checkPath } from "../../config/guest-text.ts";
import { encodeRlimit, type Rlimit } from "../../config/rlimits.ts";
import type { ExecMessage } from "../../protocol/generated/messages.ts";
import { MAX_CONTROL_PAYLOAD } from "../../protocol/generated/limits.ts";
import { guestEnv } from "../../config/sandbox/guest-env.ts";
import type { StoredConfig } from "../../config/sandbox/stored-config.ts";

const scriptsDirectory = "/.msb/scripts";
/** The agent's programs, last in the PATH: an image's own come before them. */
const programsDirectory = "/.msb/bin";
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

export interface TerminalSize {
  readonly rows: number;
  readonly cols: number;
}

/** What programs expect of a terminal that does not say how large it is. */
export const defaultTerminalSize: TerminalSize = { rows: 24, cols: 80 };

type Options = Pick<ExecOptions & AttachOptions, "args" | "cwd" | "user" | "env" | "rlimits">;

export interface Terminal {
  readonly size: TerminalSize;
  /** The TERM to use unless the environment sets one. */
  readonly type: string;
}

/**
 * Everything the guest is told about a command: the call's options over the sandbox's.
 *
 * @param terminal null to run it on pipes
 * @throws InvalidConfigError, ExecFailedError kind bad_args for one that is too large to be sent
 */
export function execRequest(
  config: StoredConfig,
  program: string,
  options: Options,
  stdin: "null" | "pipe",
  terminal: Terminal | null,
): ExecMessage {
  const argv = [checkPath("the program", program), ...options.args];
  const env = environment(guestEnv(config), options.env, terminal);
  const bytes = [...argv, ...env].reduce((sum, text) => sum + Buffer.byteLength(text) + 4, 1024);
  if (bytes > MAX_CONTROL_PAYLOAD) throw argumentsTooLong(program);
  const { rows, cols } = terminal?.size ?? defaultTerminalSize;
  return {
    type: "Exec",
    argv,
    env,
    cwd: options.cwd ?? config.workdir ?? "/",
    user: options.user ?? config.user ?? "",
    tty: terminal !== null,
    rows,
    cols,
    stdin,
    rlimits: mergeRlimits(config.rlimits, options.rlimits).map(encodeRlimit),
  };
}

function environment(
  sandbox: readonly EnvPair[],
  call: readonly EnvPair[],
  terminal: Terminal | null,
): string[] {
  const merged = new Map<string, string>([["PATH", defaultPath]]);
  if (terminal !== null) merged.set("TERM", terminal.type);
  for (const [key, value] of [...sandbox, ...call]) merged.set(key, value);
  merged.set("PATH", `${scriptsDirectory}:${merged.get("PATH") ?? defaultPath}:${programsDirectory}`);
  return [...merged].map(([key, value]) => `${key}=${value}`);
}

function mergeRlimits(sandbox: readonly Rlimit[], call: readonly Rlimit[]): Rlimit[] {
  return [...new Map([...sandbox, ...call].map((limit) => [limit.resource, limit])).values()];
}
