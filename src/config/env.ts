import { InvalidConfigError } from "../errors/index.ts";
import { shown } from "./checks.ts";
import { checkArgument, checkContent, checkFileName, checkText } from "./guest-text.ts";
import { joinPairs, pairsOf, type Pair, type PairsInput } from "./pairs.ts";
import type { Rlimit } from "./rlimits.ts";
import type { SettingType } from "./settings/setting.ts";

export type EnvPair = Pair;
export type EnvInput = PairsInput;

/** Keys that begin so are for the runtime. */
const reservedPrefix = "MSB_";

export function isReservedEnv(key: string): boolean {
  return key.startsWith(reservedPrefix);
}

/** @throws InvalidConfigError */
export function checkEnvPair(key: unknown, value: unknown): EnvPair {
  const name = checkText("the name of an environment variable", key);
  if (name === "" || name.includes("=")) {
    throw new InvalidConfigError(`${JSON.stringify(name)} cannot be the name of an environment variable`, {
      hint: "A name is not empty and holds no '='.",
    });
  }
  if (isReservedEnv(name)) {
    throw new InvalidConfigError(
      `the environment variable ${name} is reserved: names with ${reservedPrefix} are`,
      {
        hint: "Choose another name.",
      },
    );
  }
  const text = checkText(`the value of the environment variable ${shown(name)}`, value);
  checkArgument(`the environment variable ${shown(name)}`, `${name}=${text}`);
  return [name, text];
}

/** @throws InvalidConfigError */
export function checkEnv(name: string, input: EnvInput): EnvPair[] {
  return pairsOf(name, input).map(([key, value]) => checkEnvPair(key, value));
}

export const envType: SettingType<readonly EnvPair[], EnvInput> = {
  form: { kind: "structure" },
  values: "names with values",
  check: (setting, input) => joinPairs([], checkEnv(setting, input)),
  join: joinPairs,
};

/** What a program is given of its stack where no limit says otherwise, bytes. */
const defaultStackBytes = 8 * 1024 * 1024;
/** Left for the command and its arguments, bytes. */
const roomForCommand = 4096;

/**
 * Refuses an environment with which no program could be started: what execve(2) takes together depends on the stack's limit
 * (bprm_stack_limits in fs/exec.c).
 *
 * @throws InvalidConfigError
 */
export function checkEnvSize(env: readonly EnvPair[], rlimits: readonly Rlimit[]): void {
  const stack = rlimits.find(({ resource }) => resource === "stack")?.soft ?? defaultStackBytes;
  const most = Math.max(128 * 1024, Math.min(6 * 1024 * 1024, stack / 4)) - roomForCommand;
  // Each has a "=" within, a NUL at its end, and a pointer to it.
  const bytes = env.reduce((sum, [name, value]) => sum + Buffer.byteLength(name + value) + 2 + 8, 0);
  if (bytes <= most) return;
  throw new InvalidConfigError(
    `the environment is ${bytes} bytes; with the stack's limit of this sandbox Linux takes ${most}`,
    { hint: "Put some of it into a file, such as a script." },
  );
}

export const scriptsType: SettingType<readonly EnvPair[], EnvInput> = {
  form: { kind: "structure" },
  values: "names with texts",
  check: (setting, input) => {
    const scripts = pairsOf(setting, input).map(([name, content]): EnvPair => {
      const checked = checkFileName("a script's name", name);
      return [checked, checkContent(`the content of the script ${checked}`, content)];
    });
    return joinPairs([], scripts);
  },
  join: joinPairs,
};
