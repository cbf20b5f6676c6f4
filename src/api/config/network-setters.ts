import type { DeploymentProfile } from "../../config/enums.ts";
import type { NetworkBuilder, PortOptions } from "../../config/network/builders/network-builder.ts";
import type { SecretBuilder } from "../../config/network/interception/builders/secret-builder.ts";
import { loopback } from "../../config/network/ports.ts";
import type { AnyProxyBuilder, OutboundProxyBuilder } from "../../config/network/proxy/proxy-builder.ts";
import type { InputValue } from "../../config/settings/setting.ts";
import type { networkSettings } from "../../config/settings/network.ts";
import { LaterSettings } from "./later-settings.ts";

/** The setters about what a sandbox reaches, and who reaches it. */
export class NetworkSetters extends LaterSettings {
  /**
   * Says what the guest may reach, and how: `n => n.policy(NetworkPolicy.none())`. By default names and public addresses. Several calls
   * are put together; of what is said twice the last counts.
   */
  network(configure: (network: NetworkBuilder) => NetworkBuilder): this {
    return this.#set("network", configure);
  }

  /**
   * Publishes a TCP port of the guest at 127.0.0.1 of the host. Host port 0 takes one that is free. `proxyProtocol` tells the guest's
   * server who connects, by a PROXY protocol header of version 2 before the first byte.
   */
  port(host: number, guest: number, options: PortOptions = {}): this {
    return this.portBind(loopback, host, guest, options);
  }

  /** The same for UDP. */
  portUdp(host: number, guest: number): this {
    return this.portUdpBind(loopback, host, guest);
  }

  /** Publishes a TCP port of the guest at an IP address of the host: `0.0.0.0` and `::` let other computers in. */
  portBind(bind: string, host: number, guest: number, options: PortOptions = {}): this {
    return this.#set("ports", [{ ...options, hostBind: bind, hostPort: host, guestPort: guest }]);
  }

  /** The same for UDP. */
  portUdpBind(bind: string, host: number, guest: number): this {
    return this.#set("ports", [{ hostBind: bind, hostPort: host, guestPort: guest, protocol: "udp" }]);
  }

  /**
   * What outgoing TCP connections go through: `p => p.socks5("127.0.0.1:1080")`. Which ones are allowed says the policy all the same.
   */
  proxy(configure: (proxy: OutboundProxyBuilder) => AnyProxyBuilder): this {
    return this.#set("proxy", configure);
  }

  /**
   * Adds a secret that never enters the guest: `s => s.env("API_KEY").value(key).allowHost("api.example.com")`. The guest has a placeholder
   * in the variable, and the host puts the value in its place on the way to the hosts that may have it. The guest's TLS is read for that.
   */
  secret(configure: (secret: SecretBuilder) => SecretBuilder): this {
    return this.network((network) => network.secret(configure));
  }

  /** The same in short: the placeholder is `$MSB_` and the variable. */
  secretEnv(envVar: string, value: string, allowedHost: string): this {
    return this.secret((secret) => secret.env(envVar).value(value).allow(allowedHost));
  }

  /** Reads the guest's TLS on port 443; `network(n => n.tls(…))` says more. */
  interceptTls(): this {
    return this.network((network) => network.interceptTls());
  }

  /**
   * Whether the users of the host trust each other; by default `single-tenant`. With `multi-tenant` only names and public addresses are
   * reached, whatever the policy says, and what would open the host is refused: ports, nameservers, address overrides.
   */
  deploymentProfile(profile: DeploymentProfile): this {
    return this.#set("deploymentProfile", profile);
  }

  /** Gives the guest no network interface. */
  disableNetwork(): this {
    return this.#set("disableNetwork", true);
  }

  #set<Key extends keyof typeof networkSettings>(
    key: Key,
    input: InputValue<(typeof networkSettings)[Key]>,
  ): this {
    this.draft.set(key, input as never);
    return this;
  }
}
