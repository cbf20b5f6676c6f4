import { checkFlag, checkList, checkWhole } from "../../checks.ts";
import { checkText } from "../../guest-text.ts";
import { longestTimerMs } from "../../settings/types.ts";
import { nameserverText, parseNameserver } from "../nameserver.ts";
import { longestName, mostQueriesPerMinute } from "../network-defaults.ts";
import type { DnsSettings } from "../network-settings.ts";

/**
 * How names are asked. Setters throw InvalidConfigError.
 *
 * @example
 * ```ts
 * import { Sandbox } from "microsandbox";
 *
 * const { network } = Sandbox.builder("dns-example")
 *   .image("localhost/base")
 *   .network((n) => n.dns((d) => d.nameservers(["1.1.1.1"]).queryTimeoutMs(2000)))
 *   .build();
 * console.log(network?.dns?.nameservers, network?.dns?.queryTimeoutMs); // [ '1.1.1.1' ] 2000
 * ```
 */
export class DnsBuilder {
  #nameservers: readonly string[] = [];
  #rebindProtection: boolean | null = null;
  #queryTimeoutMs: number | null = null;
  #maxQueriesPerMinute: number | null = null;
  #maxNameLength: number | null = null;

  /**
   * Takes addresses out of answers that no public name stands for, such as 127.0.0.1 and 10.0.0.1, unless the policy allows them by
   * address; by default it does.
   */
  rebindProtection(enabled: boolean): this {
    this.#rebindProtection = checkFlag("rebindProtection", enabled);
    return this;
  }

  /** Who is asked, in this order: `IP`, `IP:PORT`, `[v6]:PORT`, `HOST`, `HOST:PORT`. By default the host's own. */
  nameservers(servers: Iterable<string>): this {
    this.#nameservers = checkList("nameservers", servers).map((server) =>
      nameserverText(parseNameserver(checkText("a nameserver", server))),
    );
    return this;
  }

  /** How long one server is waited for; by default 5000 ms. */
  queryTimeoutMs(ms: number): this {
    this.#queryTimeoutMs = checkWhole("queryTimeoutMs", ms, 1, longestTimerMs);
    return this;
  }

  /** How many names below one parent may be asked in a minute: bounds what leaves in names. By default as many as one likes. */
  maxQueriesPerMinute(count: number): this {
    this.#maxQueriesPerMinute = checkWhole("maxQueriesPerMinute", count, 1, mostQueriesPerMinute);
    return this;
  }

  /** Bytes of the longest name that is asked; by default 253, the longest there is. */
  maxNameLength(bytes: number): this {
    this.#maxNameLength = checkWhole("maxNameLength", bytes, 1, longestName);
    return this;
  }

  build(): DnsSettings {
    return {
      nameservers: this.#nameservers,
      rebindProtection: this.#rebindProtection,
      queryTimeoutMs: this.#queryTimeoutMs,
      maxQueriesPerMinute: this.#maxQueriesPerMinute,
      maxNameLength: this.#maxNameLength,
    };
  }
}
