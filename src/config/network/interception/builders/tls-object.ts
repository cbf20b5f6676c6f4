import { InvalidConfigError } from "../../../../errors/index.ts";
import { checkFlag, checkList } from "../../../checks.ts";
import { refuseUnknownKeys } from "../../../keys/unknown-keys.ts";
import type { AskedTls, TlsSettings } from "../tls-settings.ts";
import { TlsBuilder } from "./tls-builder.ts";

/** How TLS is intercepted, in a configuration object. What is left out is as usual; `{}` turns it on. */
export interface TlsInput extends Partial<Omit<TlsSettings, "interceptedPorts">> {
  readonly interceptedPorts?: Iterable<number> | null;
  /** As `interceptCaCertPath`. */
  readonly interceptCaCert?: string | null;
  /** As `interceptCaKeyPath`. */
  readonly interceptCaKey?: string | null;
  /** As `upstreamCaCertPaths`. */
  readonly upstreamCaCert?: string | Iterable<string> | null;
}

const known = [
  ...["bypass", "verifyUpstream", "interceptedPorts", "blockQuic", "upstreamCaCert", "upstreamCaCertPaths"],
  ...["interceptCaCert", "interceptCaCertPath", "interceptCaKey", "interceptCaKeyPath"],
  ...["scopedVerifyUpstream", "scopedUpstreamCaCerts"],
];

/** @returns null for what turns nothing on @throws InvalidConfigError */
export function tlsOfObject(path: string, input: TlsInput | boolean): AskedTls | null {
  if (input === false) return null;
  const builder = new TlsBuilder();
  if (input !== true) sayTls(path, builder, input);
  return builder.asked();
}

function sayTls(path: string, builder: TlsBuilder, input: TlsInput): void {
  refuseUnknownKeys(path, input, known);
  const { verifyUpstream, interceptedPorts, blockQuic, upstreamCaCert } = input;
  const list = (key: string, value: unknown): unknown[] =>
    value === null || value === undefined ? [] : checkList(`${path}.${key}`, value);
  for (const pattern of list("bypass", input.bypass)) builder.bypass(pattern as string);
  said(verifyUpstream, (verify) => builder.verifyUpstream(checkFlag(`${path}.verifyUpstream`, verify)));
  said(interceptedPorts, (ports) => builder.interceptedPorts(ports));
  said(blockQuic, (block) => builder.blockQuic(checkFlag(`${path}.blockQuic`, block)));
  const caCerts = typeof upstreamCaCert === "string" ? [upstreamCaCert] : upstreamCaCert;
  for (const file of list("upstreamCaCert", caCerts)) builder.upstreamCaCert(file as string);
  for (const file of list("upstreamCaCertPaths", input.upstreamCaCertPaths))
    builder.upstreamCaCert(file as string);
  said(oneOf(path, input, "interceptCaCert", "interceptCaCertPath"), (file) => builder.interceptCaCert(file));
  said(oneOf(path, input, "interceptCaKey", "interceptCaKeyPath"), (file) => builder.interceptCaKey(file));
  list("scopedVerifyUpstream", input.scopedVerifyUpstream).forEach((scoped, n) => {
    refuseUnknownKeys(`${path}.scopedVerifyUpstream[${n}]`, scoped, ["pattern", "verify"]);
    const { pattern, verify } = scoped as TlsSettings["scopedVerifyUpstream"][number];
    builder.verifyUpstreamFor(pattern, verify);
  });
  list("scopedUpstreamCaCerts", input.scopedUpstreamCaCerts).forEach((scoped, n) => {
    refuseUnknownKeys(`${path}.scopedUpstreamCaCerts[${n}]`, scoped, ["pattern", "path"]);
    const { pattern, path: file } = scoped as TlsSettings["scopedUpstreamCaCerts"][number];
    builder.upstreamCaCertFor(pattern, file);
  });
}

/** Two names of one setting. @throws InvalidConfigError when both are said, and not the same */
export function oneOf<Input extends object, Key extends keyof Input & string>(
  path: string,
  input: Input,
  key: Key,
  other: Key,
): NonNullable<Input[Key]> | null {
  const [one, two] = [input[key] ?? null, input[other] ?? null];
  if (one !== null && two !== null && one !== two) {
    throw new InvalidConfigError(`${path}.${key} is said twice: ${other} is the same`, {
      hint: "Leave one of them out.",
    });
  }
  return one ?? two;
}

export function said<T>(value: T | null | undefined, apply: (value: T) => unknown): void {
  if (value !== undefined && value !== null) apply(value);
}
