import { checkFlag, checkList } from "../../../checks.ts";
import { noHooks } from "../http-hooks.ts";
import { joinInterception, nothingIntercepted, type AskedInterception } from "../interception-settings.ts";
import { plainTls } from "../tls-settings.ts";
import type { ViolationSetting } from "../violation-setting.ts";
import { httpOfObject, type HttpInput } from "./http-object.ts";
import { secretOfObject, type SecretInput } from "./secret-object.ts";
import { oneOf, tlsOfObject, type TlsInput } from "./tls-object.ts";
import { checkViolation } from "./violation-builder.ts";

/** What a network's object may say about reading what the guest sends. */
export interface InterceptionObject {
  /** true or `{}` reads the guest's TLS as usual. */
  readonly tls?: TlsInput | boolean | null;
  /** The same as `tls: true`. */
  readonly interceptTls?: boolean | null;
  readonly secrets?: Iterable<SecretInput> | null;
  /** What is done when a placeholder goes where its secret may not. */
  readonly secretViolation?: ViolationSetting | null;
  /** As `secretViolation`. */
  readonly onSecretViolation?: ViolationSetting | null;
  readonly http?: HttpInput | null;
  readonly trustHostCAs?: boolean | null;
  /** As `trustHostCAs`. */
  readonly trustHostCas?: boolean | null;
  readonly strict?: boolean | null;
}

/**
 * What a network's object says about reading what the guest sends.
 *
 * @param ofSecrets the path of its secrets, as the user would write it
 * @throws InvalidConfigError
 */
export function interceptionOfObject(
  path: string,
  input: InterceptionObject,
  ofSecrets = `${path}.secrets`,
): AskedInterception {
  const { interceptTls, http, strict } = input;
  const secrets = secretsOfObject(ofSecrets, input.secrets);
  const isOn = isSaid(interceptTls) && checkFlag(`${path}.interceptTls`, interceptTls);
  const tls = isSaid(input.tls) ? tlsOfObject(`${path}.tls`, input.tls) : null;
  const violation = oneOf(path, input, "secretViolation", "onSecretViolation");
  const trust = oneOf(path, input, "trustHostCAs", "trustHostCas");
  const made = isSaid(http) ? httpOfObject(`${path}.http`, http) : null;
  const isStrict = isSaid(strict) ? checkFlag(`${path}.strict`, strict) : null;
  const trustHostCAs = trust === null ? null : checkFlag(`${path}.trustHostCAs`, trust);
  return {
    tls: tls ?? (isOn ? plainTls : null),
    secrets: secrets.secrets,
    secretViolation: violation === null ? null : checkViolation(`${path}.secretViolation`, violation),
    http: made?.http ?? null,
    trustHostCAs,
    strict: isStrict,
    given: { secrets: secrets.given.secrets, hooks: made?.hooks ?? noHooks },
  };
}

/** @throws InvalidConfigError, which tells no value */
function secretsOfObject(path: string, input: Iterable<SecretInput> | null | undefined): AskedInterception {
  const inputs = isSaid(input) ? (checkList(path, input) as SecretInput[]) : [];
  let asked = nothingIntercepted;
  for (const [index, one] of inputs.entries()) {
    const { secret, given } = secretOfObject(`${path}[${index}]`, index, one);
    asked = joinInterception(asked, {
      ...nothingIntercepted,
      secrets: [secret],
      given: { secrets: new Map(given === null ? [] : [[secret.envVar, given]]), hooks: noHooks },
    });
  }
  return asked;
}

function isSaid<T>(value: T | null | undefined): value is T {
  return value !== undefined && value !== null;
}
