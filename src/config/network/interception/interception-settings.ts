import type { GivenHooks } from "./http-hooks.ts";
import { noHooks } from "./http-hooks.ts";
import { httpConfigOf, joinHttp, type AskedHttp } from "./http-settings.ts";
import type { HttpConfig } from "./http-type.ts";
import { joinSecrets } from "./join-secrets.ts";
import type { SecretMaterial } from "./secret-material.ts";
import { secretAsRead, secretOf, type SecretEntry } from "./secret-settings.ts";
import type { SecretConfig, ViolationAction } from "./secret-type.ts";
import {
  filledTls,
  joinTls,
  plainTls,
  tlsAsRead,
  tlsSettingsOf,
  type AskedTls,
  type TlsSettings,
} from "./tls-settings.ts";
import type { TlsConfig } from "./tls-type.ts";
import {
  defaultViolation,
  violationAsRead,
  violationOf,
  type ViolationSetting,
} from "./violation-setting.ts";

/** Of a network, what is about reading what the guest sends, as it was asked for. `null`: not set. */
export interface InterceptionSettings {
  /** null: TLS is passed on as it is. */
  readonly tls: TlsSettings | null;
  readonly secrets: readonly SecretEntry[];
  readonly secretViolation: ViolationSetting | null;
  readonly http: HttpConfig | null;
  readonly trustHostCAs: boolean;
  readonly strict: boolean;
}

/** The same with every default filled in, as it is stored. */
export interface InterceptionConfig {
  /** null: TLS is passed on as it is. */
  readonly tls: TlsConfig | null;
  readonly secrets: readonly SecretConfig[];
  /** What is done where a secret does not say it. */
  readonly secretViolation: ViolationAction;
  readonly http: HttpConfig | null;
  /** The guest believes the authorities that the host believes. */
  readonly trustHostCAs: boolean;
  /** A name that a rule allows has to be proved by what is read of the connection. */
  readonly strict: boolean;
}

/** The same while it is said. */
export interface AskedInterception {
  readonly tls: AskedTls | null;
  readonly secrets: readonly SecretConfig[];
  readonly secretViolation: ViolationAction | null;
  readonly http: AskedHttp | null;
  readonly trustHostCAs: boolean | null;
  readonly strict: boolean | null;
  /** What was given with it and is no part of it. */
  readonly given: { readonly secrets: SecretMaterial; readonly hooks: GivenHooks };
}

export const nothingIntercepted: AskedInterception = {
  tls: null,
  secrets: [],
  secretViolation: null,
  http: null,
  trustHostCAs: null,
  strict: null,
  given: { secrets: new Map(), hooks: noHooks },
};

/** Of records that were made when there was none of it. */
export const noInterception: InterceptionConfig = {
  tls: null,
  secrets: [],
  secretViolation: defaultViolation,
  http: null,
  trustHostCAs: false,
  strict: false,
};

/** What is said later counts; lists are added to those before. @throws InvalidConfigError for two secrets in one variable */
export function joinInterception(earlier: AskedInterception, later: AskedInterception): AskedInterception {
  const { hooks } = later.given;
  return {
    tls: joinTls(earlier.tls, later.tls),
    ...joinSecrets(earlier, later),
    secretViolation: later.secretViolation ?? earlier.secretViolation,
    http: joinHttp(earlier.http, later.http),
    trustHostCAs: later.trustHostCAs ?? earlier.trustHostCAs,
    strict: later.strict ?? earlier.strict,
    given: {
      secrets: new Map([...earlier.given.secrets, ...later.given.secrets]),
      hooks: {
        onRequest: hooks.onRequest ?? earlier.given.hooks.onRequest,
        onResponse: hooks.onResponse ?? earlier.given.hooks.onResponse,
      },
    },
  };
}

/**
 * What was asked for, as users read it. Secrets and what is said about requests need TLS to be read, so they turn it on.
 *
 * @throws InvalidConfigError for half an authority
 */
export function interceptionSettingsOf(asked: AskedInterception): InterceptionSettings {
  const { secrets, secretViolation, http, trustHostCAs, strict } = asked;
  const tls = asked.tls ?? (secrets.length > 0 || http !== null ? plainTls : null);
  return {
    tls: tls === null ? null : tlsSettingsOf(tls),
    secrets: secrets.map(secretAsRead),
    secretViolation: secretViolation === null ? null : violationAsRead(secretViolation),
    http: http === null ? null : httpConfigOf(http),
    trustHostCAs: trustHostCAs ?? false,
    strict: strict ?? false,
  };
}

/** Fills in what was not said. */
export function filledInterception(settings: InterceptionSettings): InterceptionConfig {
  const { tls, secrets, secretViolation, http, trustHostCAs, strict } = settings;
  return {
    tls: tls === null ? null : filledTls(tls),
    secrets: secrets.map(secretOf),
    secretViolation: secretViolation === null ? defaultViolation : violationOf(secretViolation),
    http,
    trustHostCAs,
    strict,
  };
}

/** Of a sandbox that exists, as users read it. */
export function interceptionAsRead(config: InterceptionConfig): InterceptionSettings {
  const { tls, secrets, secretViolation, http, trustHostCAs, strict } = config;
  return {
    tls: tls === null ? null : tlsAsRead(tls),
    secrets: secrets.map(secretAsRead),
    secretViolation: violationAsRead(secretViolation),
    http,
    trustHostCAs,
    strict,
  };
}
