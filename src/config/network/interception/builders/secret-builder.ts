import { checkFlag, checkList } from "../../../checks.ts";
import { anyHost, type HostPattern } from "../host-pattern.ts";
import type { SecretProvider } from "../secret-material.ts";
import { secretAsRead, type SecretEntry } from "../secret-settings.ts";
import type { SecretInjection, SecretSource, ViolationAction } from "../secret-type.ts";
import { checkHost, checkHostPattern, checkNameOrSuffix } from "./check-host.ts";
import {
  checkFieldName,
  checkSource,
  finishSecret,
  newSecret,
  type MadeSecret,
  type SecretDraft,
} from "./secret-draft.ts";
import { checkViolation, type ViolationInput } from "./violation-builder.ts";

/**
 * A secret that never enters the guest: a program there has a placeholder in its environment, and the host puts the value in its place, on
 * the way to the hosts that may have it. Setters throw InvalidConfigError, in which no value is.
 *
 * @example
 * ```ts
 * import { Sandbox } from "microsandbox";
 *
 * const { network } = Sandbox.builder("secret-example")
 *   .image("localhost/base")
 *   .secret((s) => s.env("API_KEY").value("sk-not-shown").allowHost("api.example.com"))
 *   .build();
 * console.log(network?.secrets[0]?.placeholder, network?.secrets[0]?.allowedHosts); // $MSB_API_KEY [ 'api.example.com' ]
 * console.log(JSON.stringify(network).includes("sk-not-shown")); // false
 * ```
 */
export class SecretBuilder {
  #draft: SecretDraft = newSecret;

  /** The variable of the guest's environment that has the placeholder. Required. */
  env(name: string): this {
    return this.#add({ envVar: name });
  }

  /** The value. It is stored in a file of the sandbox that only you can read, and nowhere else. */
  value(value: string): this {
    return this.#add({ value });
  }

  /** Where the value is instead: `SecretSource.env("API_KEY")`, a variable of the environment of whoever starts the sandbox. */
  source(source: SecretSource): this {
    return this.#add({ source: checkSource("source", source) });
  }

  /** A file of this host that has the value, without the newline at its end. It is read when the value is needed. */
  file(path: string): this {
    return this.#add({ source: checkSource("file", { kind: "file", path }) });
  }

  /**
   * A function of this program that fetches the value when it is needed: `async ({ host }) => token`, or `{ value, expiresAt }`. It is
   * asked again after `expiresAt`, and once when a host answers 401.
   */
  provider(provider: SecretProvider): this {
    return this.#add({ provider });
  }

  /** What the guest has instead, 1 to 1024 bytes; by default `$MSB_` and the variable. It must not be in anything else that is sent. */
  placeholder(text: string): this {
    return this.#add({ placeholder: text });
  }

  /** A host that may have it, by its whole name. */
  allowHost(host: string): this {
    return this.#allow(checkHost("allowHost", host));
  }

  /** `*.example.com`: this name and all below it may have it. */
  allowHostPattern(pattern: string): this {
    return this.#allow(checkNameOrSuffix("allowHostPattern", pattern));
  }

  /** A name, or `*.` and a name. */
  allow(host: string): this {
    return this.#allow(checkNameOrSuffix("allow", host));
  }

  /** Everybody may have it: whatever server a program of the guest speaks to. @param iUnderstand false does nothing */
  allowAnyHostDangerous(iUnderstand: boolean): this {
    return checkFlag("allowAnyHostDangerous", iUnderstand) ? this.#allow(anyHost) : this;
  }

  /** These get the placeholder as it is: a name, `*.` and a name, or `*`. */
  allowPlaceholderFor(host: string): this {
    const pattern = checkHostPattern("allowPlaceholderFor", host);
    const before = this.#draft.onViolation;
    const hosts = before?.kind === "passthrough" ? before.hosts : [];
    return this.#add({ onViolation: { kind: "passthrough", hosts: [...new Set([...hosts, pattern])] } });
  }

  /** false: it goes over HTTP without TLS too, to a server that has proved nothing. By default true. */
  requireTlsIdentity(required: boolean): this {
    return this.#add({ requireTlsIdentity: checkFlag("requireTlsIdentity", required) });
  }

  /** Whether it is put into header fields; by default it is. */
  injectHeaders(enabled: boolean): this {
    return this.#inject({ headers: checkFlag("injectHeaders", enabled) });
  }

  /** Whether it is put into the credentials of `Authorization: Basic`, which are decoded and encoded again; by default it is. */
  injectBasicAuth(enabled: boolean): this {
    return this.#inject({ basicAuth: checkFlag("injectBasicAuth", enabled) });
  }

  /** Whether it is put into the query of the URL, as it is; by default not. */
  injectQuery(enabled: boolean): this {
    return this.#inject({ queryParams: checkFlag("injectQuery", enabled) });
  }

  /** Whether it is put into bodies; by default not. */
  injectBody(enabled: boolean): this {
    return this.#inject({ body: checkFlag("injectBody", enabled) });
  }

  /** {@link injectHeaders} and {@link injectBasicAuth} together. */
  substituteInHeaders(enabled = true): this {
    const headers = checkFlag("substituteInHeaders", enabled);
    return this.#inject({ headers, basicAuth: headers });
  }

  /** Puts it into these header fields alone; into Basic credentials where `authorization` is among them. */
  substituteInHeaderFields(names: Iterable<string>): this {
    const fields = checkList("substituteInHeaderFields", names).map((name) =>
      checkFieldName("a field of substituteInHeaderFields", name),
    );
    return this.#inject({ headers: [...new Set(fields)], basicAuth: fields.includes("authorization") });
  }

  /** As {@link injectQuery}. */
  substituteInQuery(enabled = true): this {
    return this.#inject({ queryParams: checkFlag("substituteInQuery", enabled) });
  }

  /** As {@link injectBody}. */
  substituteInBody(enabled = true): this {
    return this.#inject({ body: checkFlag("substituteInBody", enabled) });
  }

  /** What is done when the placeholder goes where the secret may not: `v => v.blockAndTerminate()`. By default as the network has it. */
  onViolation(action: ViolationInput): this {
    return this.#violate(checkViolation("onViolation", action));
  }

  /** The same by its name: `block`, `block-and-log`, `block-and-terminate`, or `{ passthrough: [hosts] }`. */
  violationAction(action: ViolationInput): this {
    return this.#violate(checkViolation("violationAction", action));
  }

  /** The same for several, of which the last one counts; hosts that are let through one after another are put together. */
  violationActions(actions: Iterable<ViolationInput>): this {
    for (const action of checkList("violationActions", actions))
      this.#violate(checkViolation("violationActions", action as ViolationInput));
    return this;
  }

  /** Whether the value is taken out of answers of its hosts, where they say it again; by default not. */
  scrubResponses(enabled = true): this {
    return this.#add({ scrubResponses: checkFlag("scrubResponses", enabled) });
  }

  /** What was said, without its value. @throws InvalidConfigError for what is missing or said twice */
  build(): SecretEntry {
    return secretAsRead(this.made().secret);
  }

  /** The same with what was given for it. @throws InvalidConfigError */
  made(what = "SecretBuilder"): MadeSecret {
    return finishSecret(what, this.#draft);
  }

  #allow(pattern: HostPattern): this {
    return this.#add({ hosts: [...this.#draft.hosts, pattern] });
  }

  #inject(part: Partial<SecretInjection>): this {
    return this.#add({ injection: { ...this.#draft.injection, ...part } });
  }

  #violate(action: ViolationAction): this {
    const before = this.#draft.onViolation;
    if (before?.kind !== "passthrough" || action.kind !== "passthrough")
      return this.#add({ onViolation: action });
    return this.#add({
      onViolation: { kind: "passthrough", hosts: [...new Set([...before.hosts, ...action.hosts])] },
    });
  }

  #add(part: Partial<SecretDraft>): this {
    this.#draft = { ...this.#draft, ...part };
    return this;
  }
}
