import { InvalidConfigError } from "../errors/index.ts";

const maximumNameBytes = 128;
const namePattern = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;

/**
 * Refuses a sandbox name that could not be a directory name everywhere.
 *
 * @throws InvalidConfigError
 */
export function checkSandboxName(name: unknown): asserts name is string {
  if (typeof name !== "string") throw new InvalidConfigError("the sandbox name is not text");
  if (name === "") {
    throw new InvalidConfigError("the sandbox name is empty", { hint: "Give the sandbox a name." });
  }
  if (Buffer.byteLength(name) > maximumNameBytes) {
    throw new InvalidConfigError(`the sandbox name is longer than ${maximumNameBytes} bytes`, {
      hint: "Choose a shorter name.",
    });
  }
  if (!namePattern.test(name)) {
    throw new InvalidConfigError(`the sandbox name ${JSON.stringify(name)} is not allowed`, {
      hint: "Use letters, digits, '.', '_' and '-', and begin with a letter or a digit.",
    });
  }
}
