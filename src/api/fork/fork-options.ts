import { checkList, checkWhole } from "../../config/checks.ts";
import type { GuestFlush } from "../../config/enums.ts";
import type { PortsInput } from "../../config/network/ports.ts";
import { checkSandboxName } from "../../config/sandbox-name.ts";
import { InvalidConfigError } from "../../errors/index.ts";
import type { OtherOptions } from "../../host/call-options.ts";
import { randomHex } from "../../host/system/entropy.ts";
import type { SecretsInput } from "../providers/given-secrets.ts";

/** What forking takes. */
export interface ForkOptions {
  /** `required`: what the guest has written and its disks do not have yet is written first. `auto`, the default, and `skip` leave it in its memory, which is copied. */
  readonly guestFlush?: GuestFlush | undefined;
  /** Ports of the host with the guest's. Those of the sandbox that is forked are its own. */
  readonly ports?: PortsInput | undefined;
  /** Values of secrets, by their variables in the guest, in the place of those of the sandbox that is forked. */
  readonly secrets?: SecretsInput | undefined;
  /** A signal such as `SIGUSR1`, which every program of a child gets that has a handler for it, before it goes on. */
  readonly notify?: string | undefined;
}

/** Its keys. */
export const forkOptions = {
  guestFlush: "any",
  ports: "any",
  secrets: "any",
  notify: "any",
} as const satisfies OtherOptions;

/** What became of one child. */
export type ForkResult<Sandbox> =
  | { readonly name: string; readonly sandbox: Sandbox; readonly error?: undefined }
  | { readonly name: string; readonly sandbox?: undefined; readonly error: Error };

const longestName = 128;
const mostForks = 1000;

/** Names for children of a sandbox, which nobody else has. @throws InvalidConfigError */
export function forkNames(source: string, count: number): readonly string[] {
  checkWhole("count", count, 1, mostForks);
  const names = new Set<string>();
  while (names.size < count) {
    const end = `-fork-${randomHex(4)}`;
    names.add(`${source.slice(0, longestName - end.length)}${end}`);
  }
  return [...names];
}

/** @throws InvalidConfigError for names that are none, too many, or given twice */
export function checkNames(names: readonly string[]): void {
  checkList("the names", names);
  if (names.length === 0 || names.length > mostForks) {
    throw new InvalidConfigError(`there are ${names.length} names for children`, {
      hint: `Give 1 to ${mostForks}.`,
    });
  }
  names.forEach(checkSandboxName);
  const twice = names.find((name, at) => names.indexOf(name) !== at);
  if (twice !== undefined)
    throw new InvalidConfigError(`the name ${twice} is given to two children`, {
      hint: "Give each its own.",
    });
}
