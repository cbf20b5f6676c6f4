import * as v from "valibot";
import { keyed } from "../keys/keyed.ts";

const passwordSources = ["store", "password_env", "secret_name"] as const;

const registryAuth = v.pipe(
  v.object({
    username: v.pipe(v.string(), v.nonEmpty("must not be empty")),
    /** The credential store of the operating system. */
    store: v.nullish(v.literal("keyring")),
    /** The environment variable that holds the password. */
    password_env: v.nullish(v.pipe(v.string(), v.nonEmpty("must not be empty"))),
    /** A file in `secrets/registries` of the home directory. */
    secret_name: v.nullish(v.pipe(v.string(), v.regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/, "is no file name"))),
  }),
  v.check(
    (auth) => passwordSources.filter((source) => typeof auth[source] === "string").length === 1,
    `needs exactly one of ${passwordSources.join(", ")}`,
  ),
);

/** The `registries` of `config.json`. */
export const registriesSchema = v.object({
  ca_certs: v.nullish(v.string()),
  hosts: v.nullish(keyed(v.object({ insecure: v.nullish(v.boolean()), auth: v.nullish(registryAuth) }))),
  /** `hosts.<host>.auth` at the place that it has in the `config.json` of microsandbox 0.4; a file written for that is read. */
  auth: v.nullish(keyed(registryAuth)),
});

/** A registry's login as `config.json` has it: whose it is and where the password lies. */
export type RegistryAuthEntry = v.InferOutput<typeof registryAuth>;
