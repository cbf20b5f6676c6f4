import { InvalidConfigError } from "../errors/index.ts";
import { isBasicLogin } from "./basic-login.ts";
import { built, checkFlag } from "./checks.ts";
import { checkString } from "./guest-text.ts";
import type { SettingType } from "./settings/setting.ts";
import { refuseUnknownKeys } from "./keys/unknown-keys.ts";

/** How the caller of a pull wants to be known: `anonymous` means that nothing else is looked for. */
export type RegistryAuth =
  | { readonly kind: "anonymous" }
  | { readonly kind: "basic"; readonly username: string; readonly password: string };

export const RegistryAuthKinds = ["anonymous", "basic"] as const;
export type RegistryAuthKind = (typeof RegistryAuthKinds)[number];

/** How the registry of a sandbox's image is spoken to. Never stored with the sandbox. */
export interface RegistryConfig {
  /** Not given: credentials are searched for, see `docs/images.md`. */
  readonly auth?: RegistryAuth;
  readonly insecure: boolean;
  /** A PEM file of certificates to be trusted besides the system's. */
  readonly caCertsPath?: string;
  /** The same as PEM texts. */
  readonly caCerts: readonly string[];
  readonly caCertsCount: number;
}

/** The registry as fields of the configuration object. */
export interface RegistryInput {
  readonly auth?: RegistryAuth | { readonly username: string; readonly password: string } | null;
  readonly insecure?: boolean;
  readonly caCertsPath?: string | null;
}

/**
 * Says how the registry of an image is spoken to; it wins over `config.json`:
 * `builder.registry(r => r.auth({ kind: "basic", username: "me", password }))`.
 */
export class RegistryConfigBuilder {
  #auth: RegistryAuth | null = null;
  #insecure = false;
  #caCertsPath: string | null = null;
  readonly #caCerts: string[] = [];

  /** Who pulls. `{ kind: "anonymous" }` means that no other credential is looked for. */
  auth(auth: RegistryAuth): this {
    this.#auth = checkAuth(auth);
    return this;
  }

  /** Does without verified TLS: a certificate is not checked, plain HTTP is spoken where there is no TLS. */
  insecure(): this {
    this.#insecure = true;
    return this;
  }

  /** Trusts the certificates of a PEM file besides the system's. It is read when the sandbox is created. */
  caCertsPath(path: string): this {
    this.#caCertsPath = checkString("the path of the CA certificates", path);
    return this;
  }

  /** Trusts PEM certificates besides the system's. May be called more than once. */
  caCerts(pem: string | Uint8Array): this {
    const text = pem instanceof Uint8Array ? Buffer.from(pem).toString("latin1") : pem;
    if (typeof text !== "string" || !text.includes("-----BEGIN CERTIFICATE-----")) {
      throw new InvalidConfigError("there is no PEM certificate in what was given as CA certificates", {
        hint: "A certificate in PEM begins with -----BEGIN CERTIFICATE-----.",
      });
    }
    this.#caCerts.push(text);
    return this;
  }

  build(): RegistryConfig {
    return {
      ...(this.#auth === null ? {} : { auth: this.#auth }),
      insecure: this.#insecure,
      ...(this.#caCertsPath === null ? {} : { caCertsPath: this.#caCertsPath }),
      caCerts: [...this.#caCerts],
      caCertsCount: this.#caCerts.length,
    };
  }
}

/** @throws InvalidConfigError */
export function chooseRegistry(
  configure: (registry: RegistryConfigBuilder) => RegistryConfigBuilder,
): RegistryConfig {
  return built("registry", configure, new RegistryConfigBuilder()).build();
}

const inputKeys = ["auth", "insecure", "caCertsPath"] as const satisfies readonly (keyof RegistryInput)[];
const loginKeys = ["kind", "username", "password"];

/** @throws InvalidConfigError */
function registryFromInput(input: RegistryInput): RegistryConfig {
  refuseUnknownKeys("registry", input, inputKeys);
  const builder = new RegistryConfigBuilder();
  const { auth, insecure, caCertsPath } = input;
  if (auth !== undefined && auth !== null) {
    refuseUnknownLoginKeys("registry.auth", auth);
    builder.auth("kind" in auth ? auth : { kind: "basic", ...auth });
  }
  if (insecure !== undefined && checkFlag("registry.insecure", insecure)) builder.insecure();
  if (caCertsPath !== undefined && caCertsPath !== null) builder.caCertsPath(caCertsPath);
  return builder.build();
}

/** @throws InvalidConfigError */
export function refuseUnknownLoginKeys(path: string, login: unknown): void {
  refuseUnknownKeys(path, login, loginKeys);
}

export const registryType: SettingType<RegistryConfig, RegistryInput> = {
  form: { kind: "structure" },
  values: "login, TLS, certificates",
  check: (_name, input) => registryFromInput(input),
};

/** What is wrong is told without what was given: it may be a password. */
function checkAuth(auth: RegistryAuth): RegistryAuth {
  const { kind, username, password } = Object(auth) as Readonly<Record<string, unknown>>;
  if (kind === "anonymous") return { kind };
  if (kind !== "basic" || typeof username !== "string" || typeof password !== "string") {
    throw new InvalidConfigError("the registry's login is none", {
      hint: 'Give {kind: "basic", username, password} or {kind: "anonymous"}.',
    });
  }
  if (!isBasicLogin(username, password)) {
    throw new InvalidConfigError(
      "a registry's user name must not be empty nor hold a colon; neither it nor the password may hold control characters",
    );
  }
  return { kind, username, password };
}
