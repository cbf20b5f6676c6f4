import type { SecretMaterial } from "../../config/network/interception/secret-material.ts";
import { InvalidConfigError, RuntimeError } from "../../errors/index.ts";
import { encodeFailure } from "../../protocol/failure.ts";
import type { FetchSecretMessage, Message } from "../../protocol/generated/messages.ts";
import type { Stream, StreamHandler } from "../../protocol/stream.ts";

/** Values and functions of this program, as its connection to a sandbox's supervisor is asked for them. */
export function provideSecrets(
  material: SecretMaterial,
): (stream: Stream, opening: Message) => StreamHandler {
  const told = new Set<string>();
  const warn = (envVar: string, error: unknown): void => {
    if (told.has(envVar)) return;
    told.add(envVar);
    const why = error instanceof Error ? error.message : String(error);
    process.emitWarning(`the function of the secret ${envVar} failed: ${why}`, "MicrosandboxWarning");
  };
  return (stream, opening) => {
    const over = new AbortController();
    const answer =
      opening.type === "GiveSecrets"
        ? give(material, opening.envVars)
        : fetchFor(material, opening, over.signal, warn);
    answer.catch(encodeFailure).then(
      (message) => {
        if (!stream.over) stream.send(message);
      },
      () => undefined,
    );
    const giveUp = (): void => {
      over.abort();
    };
    return { message: () => undefined, data: () => undefined, aborted: giveUp, lost: giveUp };
  };
}

async function give(material: SecretMaterial, envVars: readonly string[]): Promise<Message> {
  const secrets = envVars.flatMap((envVar) => {
    const given = material.get(envVar)?.reveal();
    return given === undefined ? [] : [{ envVar, value: typeof given === "string" ? given : null }];
  });
  return { type: "SecretsGiven", secrets };
}

/** @param warn it is the guest's request that brings us here, and nobody's call that could fail */
async function fetchFor(
  material: SecretMaterial,
  opening: Message,
  signal: AbortSignal,
  warn: (envVar: string, error: unknown) => void,
): Promise<Message> {
  const { envVar, host } = opening as FetchSecretMessage;
  const fetch = material.get(envVar)?.reveal();
  if (typeof fetch !== "function") throw new InvalidConfigError(`this program has no function for ${envVar}`);
  let fetched: unknown;
  try {
    fetched = await fetch({ envVar, host, signal });
  } catch (error) {
    warn(envVar, error);
    // What it says may have a value in it.
    throw new RuntimeError("its function failed");
  }
  const { value, expiresAt } =
    typeof fetched === "string"
      ? { value: fetched, expiresAt: null }
      : (Object(fetched) as Partial<Record<"value" | "expiresAt", unknown>>);
  if (typeof value !== "string") throw new RuntimeError("its function gave no string");
  // The supervisor would be told another one.
  if (!value.isWellFormed()) throw new RuntimeError("its function gave what is no text");
  return { type: "SecretFetched", value, expiresMs: expiryOf(expiresAt) };
}

/** @throws RuntimeError */
function expiryOf(expiresAt: unknown): number | null {
  if (expiresAt === null || expiresAt === undefined) return null;
  const ms = expiresAt instanceof Date ? expiresAt.getTime() : expiresAt;
  if (typeof ms === "number" && ms >= 0 && ms <= Number.MAX_SAFE_INTEGER) return Math.floor(ms);
  throw new RuntimeError("its function gave an expiresAt that is no time");
}
