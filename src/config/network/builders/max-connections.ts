import { InvalidConfigError } from "../../../errors/index.ts";
import { checkWhole } from "../../checks.ts";
import { hardMaxConnections } from "../network-defaults.ts";

/** @throws InvalidConfigError */
export function checkMaxConnections(count: number): number {
  if (Number.isInteger(count) && count > hardMaxConnections) {
    throw new InvalidConfigError(`max_connections ${count} exceeds hard limit ${hardMaxConnections}`, {
      hint: "A sandbox that needs more connections outside is better two.",
    });
  }
  return checkWhole("maxConnections", count, 1, hardMaxConnections);
}
