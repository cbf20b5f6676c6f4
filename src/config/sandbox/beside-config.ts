import { noHooks, type GivenHooks } from "../network/interception/http-hooks.ts";
import type { SecretMaterial } from "../network/interception/secret-material.ts";

/** What is given with a configuration and is no part of it: nobody reads it back, and it is in no record. */
export interface BesideConfig {
  /** What was said that this version does not have, by the setters' names. */
  readonly unsupported: readonly string[];
  /** The values of secrets, and functions that fetch them. */
  readonly secrets: SecretMaterial;
  readonly hooks: GivenHooks;
}

export const nothingBeside: BesideConfig = { unsupported: [], secrets: new Map(), hooks: noHooks };
