import { anyHost, type HostPattern } from "./host-pattern.ts";
import type { SecretConfig, SecretInjection, SecretSource } from "./secret-type.ts";
import { violationAsRead, violationOf, type ViolationSetting } from "./violation-setting.ts";

/** A secret as users read it. Its value is not in it, and nowhere that it could be read from. */
export interface SecretEntry {
  readonly envVar: string;
  readonly placeholder: string;
  readonly source: SecretSource;
  /** Names. */
  readonly allowedHosts: readonly string[];
  /** `*.example.com`: the name after the `*.`, and all below it. */
  readonly allowedHostPatterns: readonly string[];
  readonly allowAnyHost: boolean;
  readonly requireTlsIdentity: boolean;
  readonly injection: SecretInjection;
  /** null: as the sandbox's secrets have it. */
  readonly onViolation: ViolationSetting | null;
  readonly scrubResponses: boolean;
}

const isSuffix = (pattern: HostPattern): boolean => pattern !== anyHost && pattern.startsWith("*.");

export function secretAsRead({ hosts, onViolation, ...rest }: SecretConfig): SecretEntry {
  return {
    ...rest,
    allowedHosts: hosts.filter((pattern) => pattern !== anyHost && !isSuffix(pattern)),
    allowedHostPatterns: hosts.filter(isSuffix),
    allowAnyHost: hosts.includes(anyHost),
    onViolation: onViolation === null ? null : violationAsRead(onViolation),
  };
}

/** The reverse of {@link secretAsRead}; which of the hosts was said first is not kept. */
export function secretOf(entry: SecretEntry): SecretConfig {
  const { allowedHosts, allowedHostPatterns, allowAnyHost, onViolation, ...rest } = entry;
  return {
    ...rest,
    hosts: [...allowedHosts, ...allowedHostPatterns, ...(allowAnyHost ? [anyHost] : [])],
    onViolation: onViolation === null ? null : violationOf(onViolation),
  };
}
