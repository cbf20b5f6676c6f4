import { InvalidConfigError } from "../../../../errors/index.ts";
import { shown } from "../../../checks.ts";
import { checkEnvPair } from "../../../env.ts";
import { checkString, checkText } from "../../../guest-text.ts";
import { refuseUnknownKeys } from "../../../keys/unknown-keys.ts";
import type { HostPattern } from "../host-pattern.ts";
import { GivenSecret, type SecretProvider } from "../secret-material.ts";
import {
  mostPlaceholderBytes,
  type SecretConfig,
  type SecretInjection,
  type SecretSource,
  type ViolationAction,
} from "../secret-type.ts";
import { hasHeaders, valueProblem } from "./secret-value.ts";
import { checkFile } from "./tls-builder.ts";

/** A secret while it is said. `null`: not yet. */
export interface SecretDraft {
  readonly envVar: unknown;
  readonly placeholder: unknown;
  readonly hosts: readonly HostPattern[];
  readonly value: unknown;
  readonly provider: unknown;
  readonly source: SecretSource | null;
  readonly injection: SecretInjection;
  readonly requireTlsIdentity: boolean;
  readonly onViolation: ViolationAction | null;
  readonly scrubResponses: boolean;
}

export const newSecret: SecretDraft = {
  envVar: null,
  placeholder: null,
  hosts: [],
  value: null,
  provider: null,
  source: null,
  injection: { headers: true, basicAuth: true, queryParams: false, body: false },
  requireTlsIdentity: true,
  onViolation: null,
  scrubResponses: false,
};

/** A secret, and what was given for it. */
export interface MadeSecret {
  readonly secret: SecretConfig;
  /** null: it has a source of its own, or it was read back and something else gives it. */
  readonly given: GivenSecret | null;
}

/**
 * @param what for errors: `SecretBuilder`, `secret #0`
 * @throws InvalidConfigError, which tells no value
 */
export function finishSecret(what: string, draft: SecretDraft): MadeSecret {
  const wrong = (message: string, hint: string): InvalidConfigError =>
    new InvalidConfigError(`${what}: ${message}`, { hint });
  if (draft.envVar === null || draft.envVar === undefined)
    throw wrong("the environment variable is required", 'Name it: env("API_KEY").');
  const envVar = checkString(`${what}: the environment variable`, draft.envVar);
  if (draft.hosts.length === 0) {
    throw wrong(
      `at least one allowed host is required for ${envVar}`,
      'Say who may have it: allowHost("api.example.com"), or allowHostPattern("*.example.com").',
    );
  }
  const placeholder = checkPlaceholder(what, draft.placeholder ?? `$MSB_${envVar}`);
  checkEnvPair(envVar, placeholder);
  const { source, given } = materialOf(what, envVar, draft);
  const { injection } = draft;
  if (![injection.basicAuth, injection.queryParams, injection.body].includes(true) && !hasHeaders(injection))
    throw wrong(`${envVar} is put in nowhere`, "Leave at least one place: headers are the usual one.");
  const value = given?.reveal();
  if (typeof value === "string") checkGivenValue(what, { envVar, placeholder, injection }, value);
  const { hosts, requireTlsIdentity, onViolation, scrubResponses } = draft;
  return {
    secret: {
      envVar,
      placeholder,
      hosts: [...new Set(hosts)],
      source,
      injection,
      requireTlsIdentity,
      onViolation,
      scrubResponses,
    },
    given,
  };
}

/**
 * A value that is given for a secret that there is.
 *
 * @param what for errors: `secrets`
 * @throws InvalidConfigError, which does not tell it
 */
export function checkGivenValue(
  what: string,
  { envVar, placeholder, injection }: Pick<SecretConfig, "envVar" | "placeholder" | "injection">,
  input: unknown,
): string {
  const value = checkText(`${what}: the value of ${envVar}`, input);
  const found = valueProblem(value, injection);
  if (found !== null)
    throw new InvalidConfigError(`${what}: the value of ${envVar} ${found.problem}`, { hint: found.hint });
  if (!placeholder.includes(value)) return value;
  throw new InvalidConfigError(
    `${what}: the value of ${envVar} is in its placeholder: the guest would have it`,
    { hint: "Leave the placeholder out, or choose another." },
  );
}

function checkPlaceholder(what: string, input: unknown): string {
  const placeholder = checkString(`${what}: the placeholder`, input);
  if (/[\r\n]/.test(placeholder)) {
    throw new InvalidConfigError(`${what}: the placeholder has a line break`, {
      hint: "Leave it out: then it is $MSB_ and the variable.",
    });
  }
  const bytes = Buffer.byteLength(placeholder);
  if (bytes <= mostPlaceholderBytes) return placeholder;
  throw new InvalidConfigError(
    `${what}: the placeholder has ${bytes} bytes; ${mostPlaceholderBytes} are the most`,
    { hint: "Leave it out: then it is $MSB_ and the variable." },
  );
}

function materialOf(
  what: string,
  envVar: string,
  { value, provider, source }: SecretDraft,
): { readonly source: SecretSource; readonly given: GivenSecret | null } {
  const isSaid = (input: unknown): boolean => input !== null && input !== undefined;
  const ofItsOwn = source?.kind === "env" || source?.kind === "file";
  const said = [isSaid(value), isSaid(provider), ofItsOwn].filter(Boolean).length;
  if (said > 1) {
    throw new InvalidConfigError(`${what}: the value of ${envVar} is said twice`, {
      hint: "Give exactly one of value, source (or file), and provider.",
    });
  }
  if (isSaid(value))
    return {
      source: { kind: "stored" },
      given: new GivenSecret(checkText(`${what}: the value of ${envVar}`, value)),
    };
  if (isSaid(provider)) {
    if (typeof provider !== "function") {
      throw new InvalidConfigError(`${what}: the provider of ${envVar} is no function`, {
        hint: "Write it as async ({ host }) => token.",
      });
    }
    return { source: { kind: "provider" }, given: new GivenSecret(provider as SecretProvider) };
  }
  if (source !== null) return { source, given: null };
  throw new InvalidConfigError(`${what}: ${envVar} has no value`, {
    hint: "Give exactly one of value, source (or file), and provider.",
  });
}

/** Where a value is, as it was written. @throws InvalidConfigError */
export function checkSource(what: string, input: unknown): SecretSource {
  refuseUnknownKeys(what, input, ["kind", "var", "path"]);
  const { kind, var: variable, path } = input as { kind?: unknown; var?: unknown; path?: unknown };
  switch (kind) {
    case "env": {
      const name = checkString(`${what}: the host's environment variable`, variable);
      if (!name.includes("=")) return { kind, var: name };
      throw new InvalidConfigError(`${what} has a "=" in the name of the host's environment variable`, {
        hint: "Give its name alone.",
      });
    }
    case "file":
      return { kind, path: checkFile(`${what}: the file`, path) };
    case "stored":
    case "provider":
      return { kind };
    default:
      throw new InvalidConfigError(`${what} is ${shown(kind)}, which is no place of secrets`, {
        hint: 'Use { kind: "env", var: "NAME" } or { kind: "file", path: "/path" }.',
      });
  }
}

/** `token` of RFC 9110, 5.6.2: names of fields, and methods. */
export const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** In lower case. @throws InvalidConfigError */
export function checkFieldName(what: string, input: unknown): string {
  if (typeof input === "string" && token.test(input)) return input.toLowerCase();
  throw new InvalidConfigError(`${what} is ${shown(input)}, which is no name of a header field`, {
    hint: 'Write it without the colon: "x-api-key".',
  });
}
