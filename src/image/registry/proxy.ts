import { Agent as HttpsAgent, type AgentOptions, type RequestOptions } from "node:https";
import { request } from "node:http";
import { BlockList, isIP, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { connect as connectTls, type ConnectionOptions } from "node:tls";
import { HttpError } from "../../errors/index.ts";

/** A forward proxy from the environment. */
export interface Proxy {
  readonly url: URL;
  /** With its credentials, if it has any. */
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * The proxy for a URL by HTTPS_PROXY, HTTP_PROXY and NO_PROXY, in upper or lower case. As Go's `httpproxy` and so docker
 * has it: loopback addresses never go through a proxy.
 *
 * @throws HttpError when the variable holds no http:// URL
 */
export function proxyFor(url: URL, environment: NodeJS.ProcessEnv): Proxy | null {
  const name = url.protocol === "https:" ? "https_proxy" : "http_proxy";
  const value = environment[name] ?? environment[name.toUpperCase()] ?? "";
  if (value === "" || isExempt(url, environment)) return null;
  const parsed = URL.parse(value.includes("://") ? value : `http://${value}`);
  if (parsed?.protocol !== "http:") {
    const isTls = parsed?.protocol === "https:";
    throw new HttpError(`${name.toUpperCase()} is no proxy that can be used`, {
      hint: isTls
        ? "TLS to the proxy itself is not supported: write it as http://host:port, which carries TLS to registries too."
        : "Write it as http://host:port.",
    });
  }
  const { username, password } = parsed;
  let credentials: string;
  try {
    credentials = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  } catch {
    // Not the cause: it could quote the password.
    throw new HttpError(
      `the user name or password in ${name.toUpperCase()} is not encoded as a URL wants it`,
      {
        hint: "Write a % in it as %25.",
      },
    );
  }
  const headers: Record<string, string> = {};
  if (username !== "")
    headers["proxy-authorization"] = `Basic ${Buffer.from(credentials).toString("base64")}`;
  parsed.username = "";
  parsed.password = "";
  return { url: parsed, headers };
}

/** NO_PROXY: host names with all that is below them, `host:port`, addresses, networks as `address/bits`, `*`. */
function isExempt(url: URL, environment: NodeJS.ProcessEnv): boolean {
  const host = bareHost(url);
  if (isLoopback(host)) return true;
  const port = url.port === "" ? (url.protocol === "https:" ? "443" : "80") : url.port;
  const list = environment["no_proxy"] ?? environment["NO_PROXY"] ?? "";
  return list
    .split(",")
    .map((entry) => entry.trim().toLowerCase())
    .filter((entry) => entry !== "")
    .some((entry) => {
      if (entry === "*") return true;
      if (entry.includes("/")) return isInNetwork(host, entry);
      const [, name = entry, entryPort] = /^(.*?|\[.*\]):(\d+)$/.exec(isIP(entry) === 6 ? "" : entry) ?? [];
      if (entryPort !== undefined && entryPort !== port) return false;
      const domain = name.replace(/^\*?\./, "").replace(/^\[(.*)\]$/, "$1");
      return host === domain || (isIP(host) === 0 && host.endsWith(`.${domain}`));
    });
}

function isInNetwork(host: string, network: string): boolean {
  const [, address = "", bits = ""] = /^\[?([0-9a-f.:]+)\]?\/(\d{1,3})$/.exec(network) ?? [];
  const version = isIP(address);
  if (version === 0 || version !== isIP(host) || Number(bits) > (version === 4 ? 32 : 128)) return false;
  const type = version === 4 ? "ipv4" : "ipv6";
  const list = new BlockList();
  list.addSubnet(address, Number(bits), type);
  return list.check(host, type);
}

/** The host of a URL, an IPv6 address without its brackets. */
export function bareHost(url: URL): string {
  return url.hostname.replace(/^\[(.*)\]$/, "$1").toLowerCase();
}

export function isLoopback(host: string): boolean {
  if (host === "localhost" || host.endsWith(".localhost") || host === "::1") return true;
  return isIP(host) === 4 && host.startsWith("127.");
}

/** What a request through a {@link TunnelAgent} may say besides the usual. */
export interface TunnelOptions {
  /** Ends the CONNECT: Node does not tell a request's end to an agent that has no connection for it yet. */
  readonly tunnelSignal?: AbortSignal;
}

/** TLS through a proxy: CONNECT first (RFC 9110, 9.3.6), then TLS with the host itself. */
export class TunnelAgent extends HttpsAgent {
  readonly #proxy: Proxy;
  readonly #closing = new AbortController();

  constructor(proxy: Proxy, options: AgentOptions) {
    super(options);
    this.#proxy = proxy;
  }

  override createConnection(
    options: RequestOptions & ConnectionOptions & TunnelOptions,
    callback: (error: Error | null, socket: Duplex) => void,
  ): undefined {
    const host = options.host ?? "";
    const authority = `${isIP(host) === 6 ? `[${host}]` : host}:${options.port ?? 443}`;
    const asked = request(this.#proxy.url, {
      method: "CONNECT",
      path: authority,
      headers: { host: authority, ...this.#proxy.headers },
      agent: false,
      signal: AbortSignal.any([
        this.#closing.signal,
        ...(options.tunnelSignal ? [options.tunnelSignal] : []),
      ]),
      ...(options.timeout === undefined ? {} : { timeout: options.timeout }),
    });
    const fail = (error: Error): void => {
      callback(error, undefined as unknown as Duplex);
    };
    asked.on("connect", (response, socket: Socket) => {
      if (response.statusCode !== 200) {
        socket.destroy();
        fail(new Error(`the proxy ${this.#proxy.url.host} answered ${response.statusCode ?? 0} to CONNECT`));
        return;
      }
      socket.setTimeout(0);
      callback(null, connectTls({ ...options, socket, servername: isIP(host) === 0 ? host : "" }));
    });
    asked.on("response", (response) => {
      response.destroy();
      fail(new Error(`the proxy ${this.#proxy.url.host} answered ${response.statusCode ?? 0} to CONNECT`));
    });
    asked.on("timeout", () => {
      asked.destroy(new Error(`the proxy ${this.#proxy.url.host} does not answer`));
    });
    asked.on("error", fail);
    asked.end();
    return undefined;
  }

  override destroy(): void {
    this.#closing.abort(new Error("the connection was given up"));
    super.destroy();
  }
}
