import type { Duplex } from "node:stream";
import type { LinkAddresses } from "../config/network/link-addresses.ts";
import type { NetworkConfig, PublishedPort } from "../config/network/network-type.ts";
import type { NetworkPolicy } from "../config/network/policy-type.ts";
import type { NetworkEvent } from "./events.ts";
import type { Interception } from "./interception/interception.ts";
import type { PublishedPorts } from "./flows/ports/published-ports.ts";

export interface GatewayOptions {
  /** Our end of the guest's cable: a length of 4 bytes in network order before each Ethernet frame (`-netdev stream` of QEMU). */
  readonly link: Duplex;
  readonly addresses: LinkAddresses;
  readonly config: NetworkConfig;
  /** Those of `config`, listened on before there is a guest ({@link PublishedPorts.bind}); closed with the gateway. */
  readonly ports: PublishedPorts;
  /** The agent's program, as it runs on this host: it pings in the host's name. Without one nobody outside can be pinged. */
  readonly agentProgram?: string | null;
  /** Whose TLS and requests are read; without it nobody's. */
  readonly interception?: Interception | null;
  /** Called with everything that comes to pass. */
  readonly event: (event: NetworkEvent) => void;
  /** Somebody outside has come to a published port, and is let in. */
  readonly arrived?: () => void;
  /** Something for the runtime log. */
  readonly warn: (message: string) => void;
}

/** What changes on a running sandbox; what is left out stays. */
export interface NetworkChange {
  readonly policy?: NetworkPolicy;
  readonly observe?: boolean;
  readonly publish?: readonly PublishedPort[];
  /** By host port and protocol. */
  readonly unpublish?: readonly Pick<PublishedPort, "hostBind" | "hostPort" | "protocol">[];
  readonly maxConnections?: number;
  readonly rateLimiter?: NetworkConfig["rateLimiter"];
  /** Connections that there are keep what they began with. */
  readonly interception?: Interception | null;
}
