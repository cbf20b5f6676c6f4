import { InvalidConfigError } from "../../../../errors/index.ts";
import { built, checkList, checkOneOf, shown } from "../../../checks.ts";
import { ViolationActions } from "../../../enums.ts";
import { refuseUnknownKeys } from "../../../keys/unknown-keys.ts";
import { anyHost, type HostPattern } from "../host-pattern.ts";
import type { ViolationAction } from "../secret-type.ts";
import {
  defaultViolation,
  violationAsRead,
  violationOf,
  type ViolationSetting,
} from "../violation-setting.ts";
import { checkHost, checkHostPattern, checkNameOrSuffix } from "./check-host.ts";

/**
 * Says what is done when a placeholder goes where its secret may not: by default `blockAndLog()`. A block takes the place of hosts that
 * were let through before, and a host that is let through takes the place of a block before.
 *
 * @example
 * ```ts
 * import { ViolationActionBuilder } from "microsandbox";
 *
 * console.log(new ViolationActionBuilder().blockAndTerminate().build()); // block-and-terminate
 * console.log(new ViolationActionBuilder().passthroughHost("log.example.com").build()); // { passthrough: [ 'log.example.com' ] }
 * ```
 */
export class ViolationActionBuilder {
  #action: ViolationAction = defaultViolation;

  /** The connection is broken off, without a word. */
  block(): this {
    this.#action = { kind: "block" };
    return this;
  }

  /** The connection is broken off, and it is logged which secret, where to and how. */
  blockAndLog(): this {
    this.#action = { kind: "block-and-log" };
    return this;
  }

  /** The same, and the sandbox is ended. */
  blockAndTerminate(): this {
    this.#action = { kind: "block-and-terminate" };
    return this;
  }

  /** This host gets the placeholder as it is. @throws InvalidConfigError */
  passthroughHost(host: string): this {
    return this.#letThrough(checkHost("passthroughHost", host));
  }

  /** The same for `*.example.com`: the name and all below it. @throws InvalidConfigError */
  passthroughHostPattern(pattern: string): this {
    return this.#letThrough(checkNameOrSuffix("passthroughHostPattern", pattern));
  }

  /** Every host gets the placeholder as it is. @param iUnderstand false does nothing */
  passthroughAllHosts(iUnderstand: boolean): this {
    return iUnderstand ? this.#letThrough(anyHost) : this;
  }

  build(): ViolationSetting {
    return violationAsRead(this.#action);
  }

  #letThrough(pattern: HostPattern): this {
    const before = this.#action.kind === "passthrough" ? this.#action.hosts : [];
    this.#action = { kind: "passthrough", hosts: [...new Set([...before, pattern])] };
    return this;
  }
}

/** An action by name, with hosts that are let through, or as a function says. */
export type ViolationInput = ViolationSetting | ((action: ViolationActionBuilder) => ViolationActionBuilder);

/** @throws InvalidConfigError */
export function checkViolation(what: string, input: ViolationInput): ViolationAction {
  if (typeof input === "function")
    return violationOf(built(what, input, new ViolationActionBuilder()).build());
  if (typeof input === "string") return violationOf(checkOneOf(what, input, ViolationActions));
  refuseUnknownKeys(what, input, ["passthrough"]);
  const hosts = checkList(`${what}.passthrough`, (input as Partial<typeof input>).passthrough);
  if (hosts.length === 0) {
    throw new InvalidConfigError(`${what}.passthrough is ${shown(input)} without a host`, {
      hint: 'Name the hosts that get the placeholder as it is, or use "block-and-log".',
    });
  }
  return {
    kind: "passthrough",
    hosts: [...new Set(hosts.map((host, n) => checkHostPattern(`${what}.passthrough[${n}]`, host)))],
  };
}
