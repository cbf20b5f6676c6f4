import type { HostPattern } from "./host-pattern.ts";
import { anyHost } from "./host-pattern.ts";
import type { ViolationAction } from "./secret-type.ts";

/** What is done when a placeholder goes where its secret may not. `passthrough`: every host gets the placeholder as it is. */
export type ViolationSetting =
  | "block"
  | "block-and-log"
  | "block-and-terminate"
  | "passthrough"
  /** These get the placeholder as it is. */
  | { readonly passthrough: readonly HostPattern[] };

export const defaultViolation: ViolationAction = { kind: "block-and-log" };

/** As it is stored. */
export function violationOf(setting: ViolationSetting): ViolationAction {
  if (setting === "passthrough") return { kind: "passthrough", hosts: [anyHost] };
  if (typeof setting === "string") return { kind: setting };
  return { kind: "passthrough", hosts: setting.passthrough };
}

/** As users read it: the reverse of {@link violationOf}. */
export function violationAsRead(action: ViolationAction): ViolationSetting {
  if (action.kind !== "passthrough") return action.kind;
  return action.hosts.includes(anyHost) ? "passthrough" : { passthrough: action.hosts };
}
