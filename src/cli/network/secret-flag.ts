import { checkHostPattern } from "../../config/network/interception/builders/check-host.ts";
import type { HostPattern } from "../../config/network/interception/host-pattern.ts";
import { anyHost } from "../../config/network/interception/host-pattern.ts";
import { SecretSource } from "../../config/network/interception/secret-type.ts";
import type { SecretBuilder } from "../../config/network/interception/builders/secret-builder.ts";
import { UsageError } from "../output/usage-error.ts";

/** A secret whose value is in a variable of this program's environment, and who may have it. */
export interface SecretChoice {
  readonly variable: string;
  /** At least one. */
  readonly hosts: readonly HostPattern[];
}

const form = "Secrets are written ENV@HOST[,HOST…], and the value is the one of ENV in your environment";

/**
 * `ENV@HOST[,HOST…]`; a host may be `*.example.com`, or `*` for everybody. What is no such text is not told: there may be a value in it.
 *
 * @throws UsageError
 */
export function parseSecret(text: string): SecretChoice {
  const at = text.indexOf("@");
  const equals = text.indexOf("=");
  const variable = at === -1 ? "" : text.slice(0, at);
  if (equals !== -1 && (at === -1 || equals < text.lastIndexOf("@"))) {
    const name = text.slice(0, equals);
    throw new UsageError(
      "a secret's value cannot be given on the command line, where every program of this computer sees it.",
      /^\w+$/.test(name)
        ? `Put it into your environment (export ${name}=…), then write --secret ${name}@HOST`
        : form,
    );
  }
  if (!/^[^\s=@]+$/.test(variable)) throw new UsageError("a secret is written otherwise.", form);
  const hosts = text
    .slice(at + 1)
    .split(",")
    .map((host) => host.trim())
    .filter((host) => host !== "");
  if (hosts.length === 0) throw new UsageError("nobody may have a secret.", form);
  return { variable, hosts: hosts.map(parseHost) };
}

/** The text may be a value that stands where a host belongs. */
function parseHost(text: string): HostPattern {
  try {
    return checkHostPattern("a host", text);
  } catch {
    throw new UsageError("a host of a secret is none.", form);
  }
}

/**
 * For the grammar, which tells the whole text of an option that it cannot take: what is wrong with this one is told later, and without it.
 *
 * @returns parses it, when it is called. It throws what `parse` does
 */
export function untold<T>(parse: (text: string) => T): (text: string) => () => T {
  return (text) => () => parse(text);
}

/** Says it to the SDK's builder. */
export function saySecret(secret: SecretBuilder, { variable, hosts }: SecretChoice): SecretBuilder {
  secret.env(variable).source(SecretSource.env(variable));
  for (const host of hosts)
    if (host === anyHost) secret.allowAnyHostDangerous(true);
    else secret.allow(host);
  return secret;
}
