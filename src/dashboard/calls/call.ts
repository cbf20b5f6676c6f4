import * as v from "valibot";
import type { CallName, Calls } from "../wire.ts";

/** What a call takes, and what it does. */
export interface CallOf<Name extends CallName> {
  readonly args: v.GenericSchema<unknown, Calls[Name]["args"]>;
  run(
    this: void,
    args: Calls[Name]["args"],
    /** Aborted when nobody waits for the answer any more: for what only looks. */
    signal: AbortSignal,
  ): Promise<Calls[Name]["result"]>;
}

/** Some of the calls, by their names. */
export type SomeCalls<Names extends CallName> = { readonly [Name in Names]: CallOf<Name> };

export const name: v.GenericSchema<string> = v.pipe(v.string(), v.nonEmpty("give a name"));
export const named: v.GenericSchema<unknown, { readonly name: string }> = v.strictObject({ name });
export const nothing: v.GenericSchema<unknown, Readonly<Record<string, never>>> = v.strictObject({});
