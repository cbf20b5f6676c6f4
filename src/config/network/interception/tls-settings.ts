import { InvalidConfigError } from "../../../errors/index.ts";
import type { HostPattern } from "./host-pattern.ts";
import type { TlsConfig } from "./tls-type.ts";

interface ScopedVerification {
  readonly pattern: HostPattern;
  readonly verify: boolean;
}

interface ScopedCaCert {
  readonly pattern: HostPattern;
  readonly path: string;
}

/** How TLS is intercepted, as it was asked for, or, of a sandbox that exists, as it is. `null`: not set. */
export interface TlsSettings {
  readonly interceptedPorts: readonly number[];
  readonly bypass: readonly HostPattern[];
  readonly verifyUpstream: boolean | null;
  readonly scopedVerifyUpstream: readonly ScopedVerification[];
  readonly upstreamCaCertPaths: readonly string[];
  readonly scopedUpstreamCaCerts: readonly ScopedCaCert[];
  readonly blockQuic: boolean | null;
  /** Both or none. */
  readonly interceptCaCertPath: string | null;
  readonly interceptCaKeyPath: string | null;
}

/** What was said of it so far. */
export interface AskedTls extends Omit<TlsSettings, "interceptedPorts"> {
  readonly interceptedPorts: readonly number[] | null;
}

/** Interception of which nothing else was said. */
export const plainTls: AskedTls = {
  interceptedPorts: null,
  bypass: [],
  verifyUpstream: null,
  scopedVerifyUpstream: [],
  upstreamCaCertPaths: [],
  scopedUpstreamCaCerts: [],
  blockQuic: null,
  interceptCaCertPath: null,
  interceptCaKeyPath: null,
};

const defaultPorts: readonly number[] = [443];

/** What is said later counts; lists are added to those before. */
export function joinTls(earlier: AskedTls | null, later: AskedTls | null): AskedTls | null {
  if (earlier === null || later === null) return later ?? earlier;
  return {
    interceptedPorts: later.interceptedPorts ?? earlier.interceptedPorts,
    bypass: distinct([...earlier.bypass, ...later.bypass], (pattern) => pattern),
    verifyUpstream: later.verifyUpstream ?? earlier.verifyUpstream,
    scopedVerifyUpstream: distinct(
      [...earlier.scopedVerifyUpstream, ...later.scopedVerifyUpstream],
      ({ pattern }) => pattern,
    ),
    upstreamCaCertPaths: distinct(
      [...earlier.upstreamCaCertPaths, ...later.upstreamCaCertPaths],
      (path) => path,
    ),
    scopedUpstreamCaCerts: distinct(
      [...earlier.scopedUpstreamCaCerts, ...later.scopedUpstreamCaCerts],
      ({ pattern, path }) => `${pattern} ${path}`,
    ),
    blockQuic: later.blockQuic ?? earlier.blockQuic,
    interceptCaCertPath: later.interceptCaCertPath ?? earlier.interceptCaCertPath,
    interceptCaKeyPath: later.interceptCaKeyPath ?? earlier.interceptCaKeyPath,
  };
}

/** The last of those with one key, at the place of the first. */
function distinct<T>(entries: readonly T[], keyOf: (entry: T) => string): readonly T[] {
  return [...new Map(entries.map((entry) => [keyOf(entry), entry])).values()];
}

/** @throws InvalidConfigError for half an authority */
export function tlsSettingsOf(asked: AskedTls): TlsSettings {
  if ((asked.interceptCaCertPath === null) !== (asked.interceptCaKeyPath === null)) {
    throw new InvalidConfigError("intercept CA config is incomplete; set both cert_path and key_path", {
      hint: "Give interceptCaCert and interceptCaKey, or neither: then it is the authority of the home directory.",
    });
  }
  return { ...asked, interceptedPorts: asked.interceptedPorts ?? defaultPorts };
}

/** Fills in what was not said. */
export function filledTls(settings: TlsSettings): TlsConfig {
  const { verifyUpstream, blockQuic, interceptCaCertPath, interceptCaKeyPath, ...rest } = settings;
  return {
    ...rest,
    verifyUpstream: verifyUpstream ?? true,
    blockQuic: blockQuic ?? true,
    interceptCa:
      interceptCaCertPath === null || interceptCaKeyPath === null
        ? null
        : { certPath: interceptCaCertPath, keyPath: interceptCaKeyPath },
  };
}

/** The reverse of {@link filledTls}. */
export function tlsAsRead({ interceptCa, ...rest }: TlsConfig): TlsSettings {
  return {
    ...rest,
    interceptCaCertPath: interceptCa?.certPath ?? null,
    interceptCaKeyPath: interceptCa?.keyPath ?? null,
  };
}
