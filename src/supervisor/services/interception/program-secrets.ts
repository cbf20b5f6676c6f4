import { RuntimeError } from "../../../errors/index.ts";
import type { Message } from "../../../protocol/generated/messages.ts";

/** Asks the program that owns the sandbox. @throws what it answers, or that it is gone; aborted with the signal */
export type AskProgram = (message: Message, signal: AbortSignal) => Promise<Message>;

/** A value that a program has fetched. */
export interface FetchedSecret {
  readonly value: string;
  /** Since 1970; null: until a host refuses it. */
  readonly expiresMs: number | null;
}

/** How long the program may take to say what it has, ms. */
const answerMs = 10_000;

/**
 * What the program gives for the secrets in these variables, as the sandbox starts.
 *
 * @returns null for those that it has a function for; those that it has nothing for are not there
 */
export async function givenSecrets(
  ask: AskProgram,
  envVars: readonly string[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, string | null>> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(answerMs)]);
  const answer = await ask({ type: "GiveSecrets", envVars: [...envVars] }, limit);
  if (answer.type !== "SecretsGiven") throw new RuntimeError(`the program said ${answer.type}`);
  return new Map(answer.secrets.map(({ envVar, value }) => [envVar, value]));
}

/** Has the program's function fetch a value. @throws RuntimeError */
export async function fetchSecret(
  ask: AskProgram,
  envVar: string,
  host: string,
  signal: AbortSignal,
): Promise<FetchedSecret> {
  const answer = await ask({ type: "FetchSecret", envVar, host }, signal);
  if (answer.type !== "SecretFetched") throw new RuntimeError(`the program said ${answer.type}`);
  return { value: answer.value, expiresMs: answer.expiresMs };
}
