import { InvalidConfigError } from "../../../../errors/index.ts";
import type { AskedInterception } from "../interception-settings.ts";

/** @throws InvalidConfigError where something was said of values and functions, and they were not given: what is read back has none */
export function checkGiven({ secrets, http, given }: AskedInterception): void {
  const hint = "What is read back of a sandbox has no values and functions: give them anew.";
  const index = secrets.findIndex(
    ({ envVar, source }) =>
      (source.kind === "stored" || source.kind === "provider") && !given.secrets.has(envVar),
  );
  const secret = secrets[index];
  if (secret !== undefined) {
    const what = secret.source.kind === "stored" ? "value" : "provider";
    throw new InvalidConfigError(`secret #${index}: the ${what} of ${secret.envVar} is not given`, { hint });
  }
  if (http === null) return;
  const { onRequest, onResponse } = given.hooks;
  for (const [name, isSaid, hook] of [
    ["onRequest", http.hasRequestHook, onRequest],
    ["onResponse", http.hasResponseHook, onResponse],
  ] as const)
    if (isSaid && hook === null)
      throw new InvalidConfigError(`the function ${name} of http is not given`, { hint });
}
