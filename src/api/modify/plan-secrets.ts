import { SecretBuilder } from "../../config/network/interception/builders/secret-builder.ts";
import { checkGivenValue } from "../../config/network/interception/builders/secret-draft.ts";
import { joinSecrets } from "../../config/network/interception/join-secrets.ts";
import { anyHost } from "../../config/network/interception/host-pattern.ts";
import type { SecretConfig, SecretSource } from "../../config/network/interception/secret-type.ts";
import { refuseUnknownKeys } from "../../config/keys/unknown-keys.ts";
import { InvalidConfigError } from "../../errors/index.ts";
import type {
  ModificationDisposition,
  ModificationRemark,
  SecretModifySpec,
  SecretPlannedChange,
} from "./modification-plan.ts";

/** What a modification makes of a sandbox's secrets. */
export interface PlannedSecrets {
  readonly changes: readonly SecretPlannedChange[];
  readonly conflicts: readonly ModificationRemark[];
  readonly secrets: readonly SecretConfig[];
  /** Values that are new; null: there is none any more. */
  readonly values: ReadonlyMap<string, string | null>;
}

/** When changes of each kind are in force. */
export type DispositionOf = (change: SecretPlannedChange["change"]) => ModificationDisposition;

const specKeys = ["env", "value", "store", "placeholder", "allowedHosts"];

/**
 * Finds out what is to change. A secret that is there keeps what is not said anew.
 *
 * @throws InvalidConfigError for a key that there is not, and for two secrets that a host cannot tell from each other
 */
export function planSecrets(
  before: readonly SecretConfig[],
  specs: Readonly<Record<string, SecretModifySpec>>,
  removed: readonly string[],
  dispositionOf: DispositionOf,
): PlannedSecrets {
  const changes: SecretPlannedChange[] = [];
  const conflicts: ModificationRemark[] = [];
  const values = new Map<string, string | null>();
  const secrets = new Map(before.map((secret) => [secret.envVar, secret]));
  const conflict = (message: string): void => void conflicts.push({ field: "secret", message });
  const note = (secret: SecretConfig, change: SecretPlannedChange["change"], refs: object): void => {
    const { envVar: name, hosts } = secret;
    const allowHosts = change === "removed" ? [] : hosts;
    changes.push({
      kind: "secret",
      field: "secret",
      name,
      change,
      ...refs,
      disposition: dispositionOf(change),
      allowHosts,
    });
  };
  for (const name of new Set(removed)) {
    const secret = secrets.get(name);
    if (Object.hasOwn(specs, name)) conflict(`the secret ${name} is configured and removed at once`);
    // One that is gone already is removed.
    if (secret === undefined || Object.hasOwn(specs, name)) continue;
    note(secret, "removed", { beforeRef: referenceTo(secret.source) });
    secrets.delete(name);
    values.set(name, null);
  }
  for (const [name, spec] of Object.entries(specs)) {
    if (name === "") {
      conflict("a secret has no name");
      continue;
    }
    refuseUnknownKeys(`the secret ${name}`, spec, specKeys);
    const problem = problemOf(name, spec, secrets.get(name));
    if (problem !== null) {
      conflict(problem);
      continue;
    }
    const old = secrets.get(name);
    const after = changed(name, old, spec);
    const afterRef = referenceTo(after.source);
    const value = valueOf(after, spec);
    if (value !== null) values.set(name, value);
    secrets.set(name, after);
    if (old === undefined) {
      note(after, "added", { afterRef });
      continue;
    }
    const refs = { beforeRef: referenceTo(old.source), afterRef };
    if (value !== null) note(after, "rotated", refs);
    if (!isSameSet(old.hosts, after.hosts)) note(after, "hosts updated", refs);
    if (old.placeholder !== after.placeholder) note(after, "placeholder updated", refs);
  }
  const next = [...secrets.values()];
  const nothing = { secrets: [], given: { secrets: new Map() } };
  joinSecrets(nothing, { secrets: next, given: { secrets: new Map() } });
  return { changes, conflicts, secrets: next, values };
}

function problemOf(name: string, spec: SecretModifySpec, old: SecretConfig | undefined): string | null {
  const said = [spec.env, spec.value, spec.store].filter((one) => one !== undefined);
  if (said.length > 1)
    return `the value of the secret ${name} is said more than once: give one of env and value`;
  if (spec.store !== undefined)
    return `the secret ${name} is to come from a store, which this version does not have`;
  if (spec.allowedHosts?.length === 0) return `nobody may have the secret ${name}: name a host, or remove it`;
  if (old !== undefined) return null;
  if (said.length === 0) return `there is no secret ${name}; a new one needs a value`;
  return spec.allowedHosts === undefined ? `the new secret ${name} needs a host that may have it` : null;
}

/** The builder checks what is said anew as it checks all of a new one. */
function changed(name: string, old: SecretConfig | undefined, spec: SecretModifySpec): SecretConfig {
  const builder = new SecretBuilder().env(name);
  for (const host of spec.allowedHosts ?? old?.hosts ?? [])
    if (host === anyHost) builder.allowAnyHostDangerous(true);
    else builder.allow(host);
  const placeholder = spec.placeholder ?? old?.placeholder;
  if (placeholder !== undefined) builder.placeholder(placeholder);
  if (spec.env !== undefined) builder.source({ kind: "env", var: spec.env });
  // A value is checked by the places of the secret that there is, which the builder does not know.
  else builder.value(old === undefined ? (spec.value ?? "") : "of no meaning here");
  const { secret } = builder.made(`the secret ${name}`);
  const isSaid = spec.env !== undefined || spec.value !== undefined;
  if (old === undefined) return secret;
  return {
    ...old,
    hosts: isSameSet(old.hosts, secret.hosts) ? old.hosts : secret.hosts,
    placeholder: secret.placeholder,
    source: isSaid ? secret.source : old.source,
  };
}

function isSameSet(some: readonly string[], others: readonly string[]): boolean {
  const set = new Set(some);
  return set.size === new Set(others).size && others.every((one) => set.has(one));
}

/** @returns null when it stays */
function valueOf(secret: SecretConfig, { env, value }: SecretModifySpec): string | null {
  if (env === undefined)
    return value === undefined ? null : checkGivenValue("a changed secret", secret, value);
  const found = process.env[env];
  if (found === undefined || found === "") {
    throw new InvalidConfigError(
      `the secret ${secret.envVar} is in the variable ${env}, which is not set here`,
      {
        hint: `Set it (export ${env}=…), and try again.`,
      },
    );
  }
  return checkGivenValue(`the variable ${env}`, secret, found);
}

function referenceTo(source: SecretSource): string {
  switch (source.kind) {
    case "env":
      return `env:${source.var}`;
    case "file":
      return `file:${source.path}`;
    default:
      return source.kind;
  }
}
