import { InvalidConfigError } from "../../../errors/index.ts";
import { checkText } from "../../guest-text.ts";
import type { OutboundProxy } from "../network-type.ts";
import {
  checkPasswordSource,
  checkProxyAddress,
  checkUserName,
  type PasswordSource,
} from "./proxy-values.ts";

/** A SOCKS4 proxy (https://www.openssh.com/txt/socks4.protocol). It connects to IPv4 addresses only. */
export class Socks4ProxyBuilder {
  readonly #address: string;
  #userId: string | null = null;

  /** @param address `HOST:PORT` @throws InvalidConfigError */
  constructor(address: string) {
    this.#address = checkProxyAddress(address);
  }

  /** What the proxy is told of who asks. @throws InvalidConfigError */
  userId(id: string): this {
    this.#userId = checkText("the proxy's user id", id);
    return this;
  }

  build(): OutboundProxy {
    return { kind: "socks4", address: this.#address, userId: this.#userId };
  }
}

/** What proxies with a user name and a password have in common. */
class ProxyWithLogin<Kind extends "socks5" | "http"> {
  readonly #kind: Kind;
  readonly #address: string;
  #login: { readonly username: string | null; readonly passwordEnv: string | null } = {
    username: null,
    passwordEnv: null,
  };

  protected constructor(kind: Kind, address: string) {
    this.#kind = kind;
    this.#address = checkProxyAddress(address);
  }

  /**
   * Who asks. The password is never stored: only the name of the host's environment variable that has it when the sandbox starts.
   *
   * @throws InvalidConfigError
   */
  credentials(username: string, password: PasswordSource): this {
    this.#login = { username: checkUserName(username), passwordEnv: checkPasswordSource(password) };
    return this;
  }

  build(): OutboundProxy {
    return { kind: this.#kind, address: this.#address, ...this.#login };
  }
}

/** A SOCKS5 proxy (RFC 1928), with user name and password if need be (RFC 1929). */
export class Socks5ProxyBuilder extends ProxyWithLogin<"socks5"> {
  /** @param address `HOST:PORT` @throws InvalidConfigError */
  constructor(address: string) {
    super("socks5", address);
  }
}

/** A proxy that is asked with CONNECT (RFC 9110, 9.3.6), without TLS to it. */
export class HttpProxyBuilder extends ProxyWithLogin<"http"> {
  /** @param address `HOST:PORT` @throws InvalidConfigError */
  constructor(address: string) {
    super("http", address);
  }
}

/**
 * Chooses the kind of an outbound proxy.
 *
 * @example
 * ```ts
 * import { Sandbox } from "microsandbox";
 *
 * const { proxy } = Sandbox.builder("proxy-example")
 *   .image("localhost/base")
 *   .proxy((p) => p.socks5("127.0.0.1:1080").credentials("me", { kind: "env", var: "PROXY_PASSWORD" }))
 *   .build();
 * console.log(proxy?.kind, proxy?.address); // socks5 127.0.0.1:1080
 * ```
 */
export class OutboundProxyBuilder {
  /** @param address `HOST:PORT` @throws InvalidConfigError */
  socks4(address: string): Socks4ProxyBuilder {
    return new Socks4ProxyBuilder(address);
  }

  /** @param address `HOST:PORT` @throws InvalidConfigError */
  socks5(address: string): Socks5ProxyBuilder {
    return new Socks5ProxyBuilder(address);
  }

  /** @param address `HOST:PORT` @throws InvalidConfigError */
  http(address: string): HttpProxyBuilder {
    return new HttpProxyBuilder(address);
  }
}

/** @throws InvalidConfigError when the function does not return a proxy */
export function chooseProxy(configure: (proxy: OutboundProxyBuilder) => AnyProxyBuilder): OutboundProxy {
  const made: unknown = configure(new OutboundProxyBuilder());
  if (
    made instanceof Socks4ProxyBuilder ||
    made instanceof Socks5ProxyBuilder ||
    made instanceof HttpProxyBuilder
  )
    return made.build();
  throw new InvalidConfigError("the function given to proxy does not return a proxy", {
    hint: 'Write it as proxy => proxy.socks5("127.0.0.1:1080").',
  });
}

export type AnyProxyBuilder = Socks4ProxyBuilder | Socks5ProxyBuilder | HttpProxyBuilder;
