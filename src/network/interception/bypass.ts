import { matchesHost, type HostPattern } from "../../config/network/interception/host-pattern.ts";

/**
 * Whether what goes to a name is passed on as it is. That the guest says so is not enough, or it could say it to any server and ask for
 * another host inside: the address has to be one that DNS has told for the name, or for another one below the same suffix, as for the policy.
 *
 * @param name that TLS says (SNI)
 * @param names that stand for the address
 */
export function isBypassed(bypass: readonly HostPattern[], name: string, names: readonly string[]): boolean {
  return bypass.some(
    (pattern) => matchesHost(pattern, name) && names.some((bound) => matchesHost(pattern, bound)),
  );
}
