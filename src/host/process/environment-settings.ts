import { InvalidConfigError, UnsupportedOperationError } from "../../errors/index.ts";
import { longestTimerMs } from "../timers.ts";

interface NumberRange {
  readonly least: number;
  readonly most: number;
  readonly byDefault: number;
}

/** Every environment variable of ours that is a number: milliseconds, all of them. */
const numbers = {
  // Generous, for software emulation on a loaded machine.
  MSB_BOOT_TIMEOUT_MS: { least: 1, most: longestTimerMs, byDefault: 180_000 },
  // On a busy host a guest that is emulated may take tens of seconds for what takes it a millisecond.
  MSB_AGENT_TIMEOUT_MS: { least: 0, most: longestTimerMs, byDefault: 120_000 },
  // How long a guest's writes may wait for a snapshot. Its kernel complains of programs that wait for 120 s.
  MSB_DISK_FREEZE_MS: { least: 1, most: longestTimerMs, byDefault: 60_000 },
} as const satisfies Readonly<Record<string, NumberRange>>;

type NumberName = keyof typeof numbers;

/**
 * What an environment variable of ours says, or its default where it is not set or empty.
 *
 * @throws InvalidConfigError when it is no whole number, or out of its range
 */
export function numberFromEnvironment(
  name: NumberName,
  environment: NodeJS.ProcessEnv = process.env,
): number {
  const { least, most, byDefault } = numbers[name];
  const text = environment[name] ?? "";
  if (text === "") return byDefault;
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= least && value <= most) return value;
  throw new InvalidConfigError(`${name} is ${JSON.stringify(text)}`, {
    hint: `Set it to a whole number of milliseconds from ${least} to ${most}, or unset it for ${byDefault}.`,
  });
}

const switchWords: Readonly<Record<string, boolean>> = {
  on: true,
  true: true,
  "1": true,
  off: false,
  false: false,
  "0": false,
};

/**
 * Whether an environment variable turns something on or off.
 *
 * @returns null when it is not set, or empty
 * @throws InvalidConfigError when it is neither
 */
export function switchFromEnvironment(
  name: "MSB_TEMPLATES",
  environment: NodeJS.ProcessEnv = process.env,
): boolean | null {
  const text = environment[name] ?? "";
  if (text === "") return null;
  const meant = Object.hasOwn(switchWords, text) ? switchWords[text] : undefined;
  if (meant !== undefined) return meant;
  throw new InvalidConfigError(`${name} is ${JSON.stringify(text)}`, {
    hint: "Set it to on or off, or unset it.",
  });
}

const acceleratorWords = ["kvm", "hvf", "tcg", "auto"] as const;

/** What `MSB_ACCEL` asks for. @throws InvalidConfigError when it is none of them */
export function acceleratorFromEnvironment(
  environment: NodeJS.ProcessEnv = process.env,
): (typeof acceleratorWords)[number] {
  const text = environment["MSB_ACCEL"] ?? "";
  if (text === "") return "auto";
  const found = acceleratorWords.find((word) => word === text);
  if (found !== undefined) return found;
  throw new InvalidConfigError(`MSB_ACCEL is ${JSON.stringify(text)}`, {
    hint: "Set it to kvm, hvf, tcg or auto, or unset it.",
  });
}

/**
 * Which environment variable says where sandboxes run, if one does: `MSB_BACKEND`, which goes before `MSB_PROFILE`. A key or a
 * URL of a cloud alone chooses none.
 *
 * @returns null when none does: they run here as well
 * @throws UnsupportedOperationError for a cloud, which this version does not have; InvalidConfigError for anything else
 */
export function backendFromEnvironment(environment: NodeJS.ProcessEnv = process.env): "MSB_BACKEND" | null {
  const backend = environment["MSB_BACKEND"] ?? "";
  if (backend === "local") return "MSB_BACKEND";
  if (backend === "cloud") {
    throw new UnsupportedOperationError(
      "MSB_BACKEND is a cloud, but this version runs sandboxes on this computer only",
      { hint: "Set it to local, or unset it." },
    );
  }
  if (backend !== "") {
    throw new InvalidConfigError(`MSB_BACKEND is ${JSON.stringify(backend)}`, {
      hint: "Set it to local, or unset it.",
    });
  }
  if ((environment["MSB_PROFILE"] ?? "") === "") return null;
  throw new UnsupportedOperationError(
    "MSB_PROFILE chooses a cloud, but this version runs sandboxes on this computer only",
    { hint: "Unset it, or set MSB_BACKEND to local, which goes before it." },
  );
}

/**
 * Checks all that a start reads from the environment, so that a wrong value is told at the call: the supervisor, which reads it
 * too, would tell it only when the sandbox is there.
 *
 * @param backendChosen - the program says where sandboxes run, which goes before what the environment says
 * @throws InvalidConfigError, UnsupportedOperationError for a cloud
 */
export function checkEnvironment(environment: NodeJS.ProcessEnv = process.env, backendChosen = false): void {
  if (!backendChosen) backendFromEnvironment(environment);
  for (const name of Object.keys(numbers)) numberFromEnvironment(name as NumberName, environment);
  switchFromEnvironment("MSB_TEMPLATES", environment);
  acceleratorFromEnvironment(environment);
}
