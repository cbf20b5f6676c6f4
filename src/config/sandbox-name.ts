import { InvalidConfigError } from "../errors/index.ts";

const maximumNameBytes = 128;
const namePattern = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;

/** Refuses a sandbox name that could not be a directory name everywhere. @throws InvalidConfigError */
export function checkSandboxName(name: unknown): asserts name is string {
  checkName("sandbox", name);
}

/** A volume's name, for which the same holds. @throws InvalidConfigError */
export function checkVolumeName(name: unknown): asserts name is string {
  checkName("volume", name);
}

/** A snapshot's name, for which the same holds: so it is no path, and no digest. @throws InvalidConfigError */
export function checkSnapshotName(name: unknown): asserts name is string {
  checkName("snapshot", name);
}

/** The name of a group of snapshots, for which the same holds. @throws InvalidConfigError */
export function checkSnapshotGroup(name: unknown): asserts name is string {
  checkName("group of snapshots", name);
}

/** The name of a sandbox's checkpoint, for which the same holds. @throws InvalidConfigError */
export function checkCheckpointName(name: unknown): asserts name is string {
  checkName("checkpoint", name);
}

/** A pool's name, for which the same holds. @throws InvalidConfigError */
export function checkPoolName(name: unknown): asserts name is string {
  checkName("pool", name);
}

function checkName(what: string, name: unknown): asserts name is string {
  if (typeof name !== "string") throw new InvalidConfigError(`the ${what} name is not text`);
  if (name === "") {
    throw new InvalidConfigError(`the ${what} name is empty`, { hint: `Give the ${what} a name.` });
  }
  if (Buffer.byteLength(name) > maximumNameBytes) {
    throw new InvalidConfigError(`the ${what} name is longer than ${maximumNameBytes} bytes`, {
      hint: "Choose a shorter name.",
    });
  }
  if (!namePattern.test(name)) {
    throw new InvalidConfigError(`the ${what} name ${JSON.stringify(name)} is not allowed`, {
      hint: "Use letters, digits, '.', '_' and '-', and begin with a letter or a digit.",
    });
  }
}
