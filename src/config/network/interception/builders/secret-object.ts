import { checkFlag, checkList } from "../../../checks.ts";
import { refuseUnknownKeys } from "../../../keys/unknown-keys.ts";
import type { SecretProvider } from "../secret-material.ts";
import type { SecretEntry } from "../secret-settings.ts";
import type { SecretInjection, SecretSource } from "../secret-type.ts";
import type { ViolationSetting } from "../violation-setting.ts";
import { SecretBuilder } from "./secret-builder.ts";
import type { MadeSecret } from "./secret-draft.ts";
import { oneOf, said } from "./tls-object.ts";

/** What is said of a secret besides where its placeholder is. Exactly one of `value`, `source` and `provider`. */
export interface SecretOptions extends Partial<
  Omit<SecretEntry, "envVar" | "injection" | "placeholder" | "source">
> {
  readonly value?: string | null;
  readonly source?: SecretSource | null;
  readonly provider?: SecretProvider | null;
  /** By default `$MSB_` and the variable. */
  readonly placeholder?: string | null;
  /** As `allowedHosts`. */
  readonly allowHosts?: Iterable<string> | null;
  /** As `allowedHostPatterns`. */
  readonly allowHostPatterns?: Iterable<string> | null;
  /** As `requireTlsIdentity`. */
  readonly requireTls?: boolean | null;
  /** By default header fields and Basic credentials. */
  readonly injection?: Partial<SecretInjection> | null;
  readonly onViolation?: ViolationSetting | null;
}

/** A secret in a configuration object. */
export interface SecretInput extends SecretOptions {
  /** The variable of the guest's environment that has the placeholder. */
  readonly envVar: string;
}

/** Secrets for configuration objects. */
export const Secret = {
  /** One whose placeholder is in an environment variable of the guest. What is wrong with it is told when the sandbox is created. */
  env(envVar: string, options: SecretOptions): SecretInput {
    return { ...options, envVar };
  },
};

const known = [
  ...["envVar", "value", "source", "provider", "placeholder", "allowHosts", "allowedHosts", "allowAnyHost"],
  ...["allowHostPatterns", "allowedHostPatterns", "requireTls", "requireTlsIdentity", "injection"],
  ...["onViolation", "scrubResponses"],
];

/** @param index of the secret in its list @throws InvalidConfigError, which tells no value */
export function secretOfObject(path: string, index: number, input: SecretInput): MadeSecret {
  refuseUnknownKeys(path, input, known);
  const builder = new SecretBuilder();
  said(input.envVar, (name) => builder.env(name));
  said(input.value, (value) => builder.value(value));
  said(input.source, (source) => builder.source(source));
  said(input.provider, (provider) => builder.provider(provider));
  said(input.placeholder, (text) => builder.placeholder(text));
  for (const host of listed(path, input, "allowHosts", "allowedHosts")) builder.allowHost(host);
  for (const pattern of listed(path, input, "allowHostPatterns", "allowedHostPatterns"))
    builder.allowHostPattern(pattern);
  said(input.allowAnyHost, (any) => builder.allowAnyHostDangerous(any));
  said(oneOf(path, input, "requireTls", "requireTlsIdentity"), (required) =>
    builder.requireTlsIdentity(checkFlag(`${path}.requireTls`, required)),
  );
  said(input.injection, (injection) => {
    sayInjection(`${path}.injection`, builder, injection);
  });
  said(input.onViolation, (action) => builder.onViolation(action));
  said(input.scrubResponses, (scrub) => builder.scrubResponses(scrub));
  return builder.made(`secret #${index}`);
}

function listed(
  path: string,
  input: SecretInput,
  ...keys: readonly (keyof SecretInput)[]
): readonly string[] {
  return keys.flatMap((key) => {
    const value = input[key];
    return value === null || value === undefined ? [] : (checkList(`${path}.${key}`, value) as string[]);
  });
}

function sayInjection(path: string, builder: SecretBuilder, input: Partial<SecretInjection>): void {
  refuseUnknownKeys(path, input, ["headers", "basicAuth", "queryParams", "body"]);
  const { headers, basicAuth, queryParams, body } = input;
  said(headers, (value) =>
    typeof value === "boolean" ? builder.injectHeaders(value) : builder.substituteInHeaderFields(value),
  );
  // After the fields, which say it too.
  said(basicAuth, (value) => builder.injectBasicAuth(checkFlag(`${path}.basicAuth`, value)));
  said(queryParams, (value) => builder.injectQuery(checkFlag(`${path}.queryParams`, value)));
  said(body, (value) => builder.injectBody(checkFlag(`${path}.body`, value)));
}
