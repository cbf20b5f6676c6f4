/** What a later version brings: named by `unsupported`, and refused when the sandbox is created. */
export class LaterNetworkSettings {
  protected readonly later = new Set<string>();

  /** Not in this version. */
  tls(_configure: (tls: never) => unknown): this {
    return this.#notYet("tls");
  }

  /** Not in this version. */
  interceptTls(): this {
    return this.#notYet("interceptTls");
  }

  /** Not in this version. */
  http(_configure: (http: never) => unknown): this {
    return this.#notYet("http");
  }

  /** Not in this version. */
  secret(_configure: (secret: never) => unknown): this {
    return this.#notYet("secret");
  }

  /** Not in this version. */
  secretEnv(_envVar: string, _value: string, _placeholder: string, _host: string): this {
    return this.#notYet("secretEnv");
  }

  /** Not in this version. */
  secretEnvSimple(_envVar: string, _value: string, _host: string): this {
    return this.#notYet("secretEnvSimple");
  }

  /** Not in this version. */
  onSecretViolation(_action: unknown): this {
    return this.#notYet("onSecretViolation");
  }

  /** Not in this version. */
  secretViolationAction(_action: unknown): this {
    return this.#notYet("secretViolationAction");
  }

  /** Not in this version, except false, the default. */
  trustHostCAs(enabled: boolean): this {
    return enabled ? this.#notYet("trustHostCAs") : this;
  }

  /** Not in this version, except false, the default. */
  strict(enabled: boolean): this {
    return enabled ? this.#notYet("strict") : this;
  }

  #notYet(setting: string): this {
    this.later.add(setting);
    return this;
  }
}
