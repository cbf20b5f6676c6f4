import {
  type GivenHooks,
  hookNames,
  noHooks,
  type RequestHook,
  type ResponseHook,
} from "../../config/network/interception/http-hooks.ts";
import type { HttpConfig } from "../../config/network/interception/http-type.ts";
import { refuseUnknownKeys } from "../../config/keys/unknown-keys.ts";
import { InvalidConfigError, UnsupportedOperationError } from "../../errors/index.ts";

/** What a program gives for a sandbox whose requests its functions look at. */
export interface HooksInput {
  readonly onRequest?: RequestHook | undefined;
  readonly onResponse?: ResponseHook | undefined;
}

/** @throws InvalidConfigError for what is no function */
export function checkGivenHooks(input: HooksInput | undefined): GivenHooks {
  if (input === undefined) return noHooks;
  if (typeof input !== "object" || (input as unknown) === null || Array.isArray(input)) {
    throw new InvalidConfigError("the option hooks is no object", {
      hint: "Give the functions by their names: { onRequest, onResponse }.",
    });
  }
  refuseUnknownKeys("hooks", input, ["onRequest", "onResponse"]);
  const { onRequest = null, onResponse = null } = input;
  for (const [name, hook] of Object.entries({ onRequest, onResponse })) {
    if (hook === null || typeof hook === "function") continue;
    throw new InvalidConfigError(`hooks.${name} is no function`, {
      hint: `Write ${name}: async (head) => undefined.`,
    });
  }
  return { onRequest, onResponse };
}

/**
 * Finds the functions that a sandbox which is about to start is to ask.
 *
 * @param given for this run
 * @param known what the same program gave before
 * @throws InvalidConfigError for one that is missing, and for one that the sandbox was not made with
 */
export function runHooks(http: HttpConfig | null, given: GivenHooks, known: GivenHooks): GivenHooks {
  const asked = http?.hooks ?? { onRequest: false, onResponse: false };
  for (const name of hookNames(given)) {
    if (asked[name]) continue;
    throw new InvalidConfigError(`the sandbox was not made with ${name}, and was given one`, {
      hint: `Make it with network(n => n.http(h => h.${name}(…))).`,
    });
  }
  const hooks: GivenHooks = {
    onRequest: asked.onRequest ? (given.onRequest ?? known.onRequest) : null,
    onResponse: asked.onResponse ? (given.onResponse ?? known.onResponse) : null,
  };
  for (const name of ["onRequest", "onResponse"] as const) {
    if (!asked[name] || hooks[name] !== null) continue;
    throw new InvalidConfigError(`a program looks at the sandbox's requests, which has not given ${name}`, {
      hint: `Start it from that program: start({ hooks: { ${name} } }).`,
    });
  }
  return hooks;
}

/** @throws UnsupportedOperationError for a sandbox whose requests functions of this program look at */
export function requireNoHooks(hooks: GivenHooks, what: string): void {
  const [name] = hookNames(hooks);
  if (name === undefined) return;
  throw new UnsupportedOperationError(
    `${what} cannot go on without its program, whose ${name} looks at its requests`,
    {
      hint: "Let it be attached, or make it without functions: rules about requests go on without a program.",
    },
  );
}
