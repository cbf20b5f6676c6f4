import { checkGivenValue } from "../../config/network/interception/builders/secret-draft.ts";
import {
  GivenSecret,
  type SecretMaterial,
  type SecretProvider,
} from "../../config/network/interception/secret-material.ts";
import type { SecretConfig } from "../../config/network/interception/secret-type.ts";
import { InvalidConfigError } from "../../errors/index.ts";

/** What a program gives for the secrets of a sandbox, by the variables of the guest: values, or functions that fetch them. */
export type SecretsInput = Readonly<Record<string, string | SecretProvider>>;

/** @throws InvalidConfigError for what is no secret of the sandbox, or no value; it tells none */
export function checkGivenSecrets(
  secrets: readonly SecretConfig[],
  given: SecretsInput | undefined,
): SecretMaterial {
  if (given === undefined) return new Map();
  if (typeof given !== "object" || (given as unknown) === null || Array.isArray(given)) {
    throw new InvalidConfigError("the option secrets is no object", {
      hint: "Give the values by the secrets' variables: { API_KEY: value }.",
    });
  }
  const names = secrets.map(({ envVar }) => envVar);
  return new Map(
    Object.entries(given).map(([envVar, value]) => {
      const secret = secrets.find((one) => one.envVar === envVar);
      if (secret === undefined) {
        throw new InvalidConfigError(
          `secrets has ${JSON.stringify(envVar)}, which is no secret of the sandbox`,
          {
            hint: names.length === 0 ? "It has none." : `It has ${names.join(", ")}.`,
          },
        );
      }
      if (typeof value === "function") return [envVar, new GivenSecret(value)];
      return [envVar, new GivenSecret(checkGivenValue("secrets", secret, value))];
    }),
  );
}
