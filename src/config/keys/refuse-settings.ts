import { UnsupportedOperationError } from "../../errors/index.ts";

/** @throws UnsupportedOperationError that names the settings, when there are any */
export function refuseSettings(unsupported: readonly string[]): void {
  const [first] = unsupported;
  if (first === undefined) return;
  throw new UnsupportedOperationError(`this version of microsandbox does not have the setting ${first} yet`, {
    hint: `Leave ${unsupported.join(", ")} out.`,
  });
}
