import type { NetworkConfig } from "../../../config/network/network-type.ts";
import type { HttpConfig } from "../../../config/network/interception/http-type.ts";
import type { SecretConfig } from "../../../config/network/interception/secret-type.ts";
import type { TlsConfig } from "../../../config/network/interception/tls-type.ts";
import { authorityFor, type Authority } from "../../../certificates/authority.ts";
import { RuntimeError } from "../../../errors/index.ts";
import type { HttpHooks, Interception } from "../../../network/interception/interception.ts";
import type { PreparedNetwork } from "../../../start/contract/handover.ts";
import type { Home } from "../../../store/home.ts";
import type { OpenStream } from "./hooks/hook-call.ts";
import type { AskProgram } from "./program-secrets.ts";
import { SupervisedSecrets } from "./supervised-secrets.ts";

export interface SandboxInterceptionOptions {
  readonly home: Home;
  readonly tls: TlsConfig;
  readonly secrets: readonly SecretConfig[];
  /** Where the values of secrets are stored. */
  readonly secretsPath: string;
  readonly ask: AskProgram;
  readonly converse: OpenStream;
  readonly warn: (message: string) => void;
  /** A secret was on its way to where it may not go, and the sandbox is to end for that. */
  readonly terminate: (reason: string) => void;
}

/** What a sandbox's gateway reads connections with: certificates, whom the host believes, and values of secrets. */
export class SandboxInterception {
  readonly secrets: SupervisedSecrets;
  readonly #options: SandboxInterceptionOptions;
  readonly #authority: Authority;
  #hooks: HttpHooks | null = null;
  #ends: Promise<Pick<Interception, "leaves" | "trust">> | null = null;

  private constructor(options: SandboxInterceptionOptions, authority: Authority, secrets: SupervisedSecrets) {
    this.secrets = secrets;
    this.#options = options;
    this.#authority = authority;
  }

  /**
   * Finds out, before anything runs, that all of it is there.
   *
   * @throws InvalidConfigError for an authority that is none, and for a value that nobody has given; IoError, JsonError
   */
  static async load(options: SandboxInterceptionOptions, signal: AbortSignal): Promise<SandboxInterception> {
    const { home, tls, secrets, secretsPath, ask, warn } = options;
    const authority = await authorityFor(tls, home);
    const loaded = await SupervisedSecrets.load({ secrets, path: secretsPath, ask, warn }, signal);
    return new SandboxInterception(options, authority, loaded);
  }

  /** @throws RuntimeError when the guest was told of another authority than this one: it was replaced at that moment */
  requireTrusted(trust: PreparedNetwork["trust"]): void {
    if (trust?.authority === this.#authority.pem) return;
    throw new RuntimeError("the authority that the guest believes was replaced while it started", {
      hint: "Start it again.",
    });
  }

  /** For connections that begin from now on. */
  async interception({ tls, secrets, secretViolation, http }: NetworkConfig): Promise<Interception> {
    return {
      ...(await this.#ofTls()),
      ...{ tls, secrets, secretViolation, http },
      values: this.secrets.values(secrets),
      hooks: await this.#hooksOf(http),
      terminate: this.#options.terminate,
    };
  }

  /** One for all of a run: how many are asked at once is counted there. */
  async #hooksOf(http: HttpConfig | null): Promise<HttpHooks | null> {
    if (http === null || !(http.hooks.onRequest || http.hooks.onResponse)) return null;
    const { ProgramHooks } = await import("./hooks/program-hooks.ts");
    return (this.#hooks ??= new ProgramHooks(this.#options.converse, http.hooks));
  }

  /** Made when the first frame comes: most guests have ended by then. */
  #ofTls(): Promise<Pick<Interception, "leaves" | "trust">> {
    return (this.#ends ??= this.#makeEnds());
  }

  async #makeEnds(): Promise<Pick<Interception, "leaves" | "trust">> {
    const { tls, warn } = this.#options;
    const [{ Leaves }, { HostTrust }] = await Promise.all([
      import("../../../certificates/leaves.ts"),
      import("../../../certificates/upstream-trust.ts"),
    ]);
    const { certificate, key } = this.#authority;
    return { leaves: new Leaves(certificate, key), trust: new HostTrust({ config: tls, warn }) };
  }
}
