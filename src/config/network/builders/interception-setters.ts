import { built, checkFlag } from "../../checks.ts";
import { HttpBuilder } from "../interception/builders/http-builder.ts";
import { SecretBuilder } from "../interception/builders/secret-builder.ts";
import type { MadeSecret } from "../interception/builders/secret-draft.ts";
import { TlsBuilder } from "../interception/builders/tls-builder.ts";
import { checkViolation, type ViolationInput } from "../interception/builders/violation-builder.ts";
import { noHooks } from "../interception/http-hooks.ts";
import type { AskedInterception } from "../interception/interception-settings.ts";
import { plainTls } from "../interception/tls-settings.ts";

/** The setters about reading what the guest sends. */
export abstract class InterceptionSetters {
  protected abstract say(part: Partial<AskedInterception>): this;

  /** Reads the guest's TLS, on port 443 unless another is said: `t => t.bypass("*.bank.example")`. */
  tls(configure: (tls: TlsBuilder) => TlsBuilder): this {
    return this.say({ tls: built("tls", configure, new TlsBuilder()).asked() });
  }

  /** The same as usual; false says nothing. */
  interceptTls(enabled = true): this {
    return checkFlag("interceptTls", enabled) ? this.say({ tls: plainTls }) : this;
  }

  /**
   * Rules about requests, and functions that look at them: `h => h.allow("GET", "api.github.com", "/repos/**").deny("*")`. They turn
   * interception on. Several calls are put together.
   */
  http(configure: (http: HttpBuilder) => HttpBuilder): this {
    const { http, hooks } = built("http", configure, new HttpBuilder()).made();
    return this.say({ http, given: { secrets: new Map(), hooks } });
  }

  /** Adds a secret that never enters the guest, and turns interception on: without it nothing could be put in. */
  secret(configure: (secret: SecretBuilder) => SecretBuilder): this {
    return this.#secret(built("secret", configure, new SecretBuilder()).made());
  }

  /** The same in short, with the placeholder said. */
  secretEnv(envVar: string, value: string, placeholder: string, host: string): this {
    const secret = new SecretBuilder().env(envVar).value(value).placeholder(placeholder).allow(host);
    return this.#secret(secret.made());
  }

  /** The same in short: the placeholder is `$MSB_` and the variable. */
  secretEnvSimple(envVar: string, value: string, host: string): this {
    return this.#secret(new SecretBuilder().env(envVar).value(value).allow(host).made());
  }

  /** What is done when a placeholder goes where its secret may not, unless the secret says it: `v => v.block()`. By default block and log. */
  onSecretViolation(action: ViolationInput): this {
    const secretViolation = checkViolation("onSecretViolation", action);
    return this.say({ secretViolation });
  }

  /** The same by its name: `block`, `block-and-log`, `block-and-terminate`, `passthrough`, or `{ passthrough: [hosts] }`. */
  secretViolationAction(action: ViolationInput): this {
    const secretViolation = checkViolation("secretViolationAction", action);
    return this.say({ secretViolation });
  }

  /** Whether the guest believes the authorities that this host believes; by default it does not. */
  trustHostCAs(enabled: boolean): this {
    return this.say({ trustHostCAs: checkFlag("trustHostCAs", enabled) });
  }

  /** Whether a name that a rule allows has to be proved by what is read of the connection; by default what DNS has said is enough. */
  strict(enabled: boolean): this {
    return this.say({ strict: checkFlag("strict", enabled) });
  }

  #secret({ secret, given }: MadeSecret): this {
    const secrets = new Map(given === null ? [] : [[secret.envVar, given]]);
    return this.say({ secrets: [secret], given: { secrets, hooks: noHooks } });
  }
}
