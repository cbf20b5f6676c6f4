import { DeploymentProfiles } from "../enums.ts";
import { networkType, type NetworkInput } from "../network/network-setting.ts";
import type { StoredNetwork } from "../network/network-of.ts";
import type { AskedNetwork, NetworkSettings } from "../network/network-settings.ts";
import { portsType } from "../network/ports.ts";
import { proxyType } from "../network/proxy/proxy.ts";
import { reshapedSetting, setting, settledSetting } from "./setting.ts";
import { choice, flag } from "./types.ts";

/** What a sandbox can reach, and who can reach it. */
export const networkSettings = {
  network: reshapedSetting<NetworkSettings, StoredNetwork, AskedNetwork, NetworkInput>({
    type: networkType,
    meaning: "what the sandbox may reach, and how; several calls are put together",
    setters: ["network", "secret", "secretEnv", "interceptTls"],
    otherwise: "names and public addresses",
    inspect: "Network",
    change: "live",
  }),
  ports: settledSetting({
    type: portsType,
    meaning: "ports of the guest that the host offers; also in `network`",
    setters: ["port", "portUdp", "portBind", "portUdpBind"],
    default: [],
    cli: {
      flag: "port",
      short: "p",
      placeholder: "[BIND:]HOST:GUEST[/udp]",
      description:
        "Publish a port of the guest; at 127.0.0.1 without BIND. HOST 0 takes a free one. Repeatable",
    },
    inspect: "Ports",
    change: "live",
  }),
  proxy: setting({
    type: proxyType,
    meaning: "what outgoing TCP connections go through",
    default: null,
    cli: {
      flag: "proxy",
      placeholder: "URL",
      description:
        "Outbound proxy: socks5://HOST:PORT, socks4://…, http://…; with a login USER:$VARIABLE@ before HOST",
    },
    inspect: "Outbound proxy",
    change: "restart",
  }),
  deploymentProfile: setting({
    type: choice(DeploymentProfiles),
    meaning: "whether the users of the host trust each other; `multi-tenant` puts a floor under every policy",
    default: "single-tenant",
    global: "deployment_profile",
    cli: {
      flag: "deploymentProfile",
      placeholder: "PROFILE",
      description: `Whether the host's users trust each other: ${DeploymentProfiles.join(", ")} (single-tenant)`,
    },
    inspect: "Deployment profile",
    change: "never",
  }),
  disableNetwork: settledSetting({
    type: flag,
    meaning: "no network interface in the guest",
    default: false,
    inspect: "Network disabled",
    change: "never",
  }),
} as const;
