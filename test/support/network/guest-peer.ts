import { once } from "node:events";
import { createConnection, createServer, type Socket } from "node:net";
import type { LinkAddresses } from "../../../src/config/network/link-addresses.ts";
import {
  defaultDns,
  defaultInterface,
  defaultMaxConnections,
} from "../../../src/config/network/network-defaults.ts";
import { noInterception } from "../../../src/config/network/interception/interception-settings.ts";
import type { NetworkConfig } from "../../../src/config/network/network-type.ts";
import type { NetworkPolicy, Rule } from "../../../src/config/network/policy-type.ts";
import { IpAddress } from "../../../src/host/ip/address.ts";
import type { NetworkEvent } from "../../../src/network/events.ts";
import { PublishedPorts } from "../../../src/network/flows/ports/published-ports.ts";
import { type Gateway, openGateway } from "../../../src/network/gateway.ts";
import type { Interception } from "../../../src/network/interception/interception.ts";
import { GuestInterface } from "../../../src/network/ip/guest-interface.ts";
import { protocolNumbers } from "../../../src/network/ip/packet.ts";
import { isUpperChecksumRight } from "../../../src/network/ip/upper-checksum.ts";
import { FrameLink } from "../../../src/network/link/frame-link.ts";
import type { TcpConnection, TcpHandler, TcpRequest } from "../../../src/network/tcp/connection.ts";
import { TcpGate } from "../../../src/network/tcp/tcp-gate.ts";

export function address(text: string): IpAddress {
  const parsed = IpAddress.parse(text);
  if (parsed === null) throw new TypeError(`${text} is no address`);
  return parsed;
}

export const addresses: LinkAddresses = {
  guestMac: Uint8Array.from([2, 0x6d, 0x73, 0, 0, 2]),
  gatewayMac: Uint8Array.from([2, 0x6d, 0x73, 0, 0, 1]),
  ipv4: { guest: address("172.16.0.2"), gateway: address("172.16.0.1"), prefix: 30 },
  ipv6: { guest: address("fd42:6d73:62::2"), gateway: address("fd42:6d73:62::1"), prefix: 64 },
  mtu: 65_520,
};

export const allowAll: NetworkPolicy = { defaultEgress: "allow", defaultIngress: "allow", rules: [] };

export function networkConfig(over: Partial<NetworkConfig> = {}): NetworkConfig {
  return {
    ...noInterception,
    policy: allowAll,
    observe: false,
    ports: [],
    dns: defaultDns,
    interface: defaultInterface,
    maxConnections: defaultMaxConnections,
    rateLimiter: null,
    proxy: null,
    deploymentProfile: "single-tenant",
    ...over,
  };
}

export function rule(over: Partial<Rule>): Rule {
  return {
    direction: "egress",
    destination: { kind: "any" },
    protocols: [],
    ports: [],
    action: "allow",
    ...over,
  };
}

/** The guest's end of the cable: our own stack, the other way round. It speaks to one address outside, the gateway's unless another is said. */
export class GuestPeer {
  readonly ip: GuestInterface;
  readonly tcp: TcpGate;
  readonly outside: { readonly ipv4: IpAddress; readonly ipv6: IpAddress };
  /** Takes what is connected to in the guest; without it, nothing listens. */
  listener: ((request: TcpRequest) => void) | null = null;

  constructor(stream: Socket, outside: Partial<GuestPeer["outside"]> = {}) {
    const { guestMac, gatewayMac, ipv4, ipv6, mtu } = addresses;
    if (ipv4 === null || ipv6 === null) throw new TypeError("both families are there");
    this.outside = { ipv4: outside.ipv4 ?? ipv4.gateway, ipv6: outside.ipv6 ?? ipv6.gateway };
    const link = new FrameLink({
      stream,
      rateLimiter: null,
      failed: (error) => {
        throw error;
      },
      closed: () => undefined,
    });
    this.ip = new GuestInterface({
      link,
      addresses: {
        guestMac: gatewayMac,
        gatewayMac: guestMac,
        ipv4: { ...ipv4, guest: this.outside.ipv4, gateway: ipv4.guest },
        ipv6: { ...ipv6, guest: this.outside.ipv6, gateway: ipv6.guest },
        mtu,
      },
      answersEcho: () => false,
    });
    this.tcp = new TcpGate({
      sender: this.ip.sender,
      isChecksumRight: isUpperChecksumRight,
      request: (request) => {
        if (this.listener === null) request.refuse("reset");
        else this.listener(request);
      },
    });
    this.ip.on(protocolNumbers.tcp, (packet) => {
      this.tcp.receive(packet);
      process.nextTick(() => this.tcp.batchEnd());
    });
    this.ip.start();
  }

  /** Begins to connect to a port outside. */
  connect(port: number, family: 4 | 6 = 4): Conversation {
    const own = family === 4 ? addresses.ipv4 : addresses.ipv6;
    if (own === null) throw new TypeError("both families are there");
    const conversation = new Conversation();
    conversation.connection = this.tcp.connect({ address: own.guest, port: 0 }, port, conversation);
    return conversation;
  }

  close(): void {
    this.tcp.close();
    this.ip.close();
  }
}

/** A connection as a program in the guest has it. */
export class Conversation implements TcpHandler {
  connection: TcpConnection | null = null;
  readonly received: Buffer[] = [];
  /** Whether what comes is used up at once. */
  reads = true;
  readonly #opened = Promise.withResolvers<undefined>();
  readonly #ended = Promise.withResolvers<undefined>();
  readonly #closed = Promise.withResolvers<"closed" | "reset" | "timeout">();
  readonly #waiters = new Set<() => void>();
  #drain: (() => void) | null = null;

  /** Resolves when the handshake is over. */
  readonly opened: Promise<undefined> = this.#opened.promise;
  /** When the other direction has ended. */
  readonly otherEnded: Promise<undefined> = this.#ended.promise;
  readonly over: Promise<"closed" | "reset" | "timeout"> = this.#closed.promise;

  get bytes(): number {
    return this.received.reduce((sum, part) => sum + part.length, 0);
  }

  async write(bytes: Buffer): Promise<void> {
    if (this.connection?.write(bytes) === false)
      await new Promise<void>((resolve) => {
        this.#drain = resolve;
      });
  }

  /** Resolves when so many bytes have come. */
  async has(bytes: number): Promise<Buffer> {
    while (this.bytes < bytes) await new Promise<void>((resolve) => this.#waiters.add(resolve));
    return Buffer.concat(this.received);
  }

  established(): void {
    this.#opened.resolve(undefined);
  }

  data(bytes: Buffer): void {
    this.received.push(Buffer.from(bytes));
    if (this.reads) this.connection?.consume(bytes.length);
    for (const waiter of this.#waiters) waiter();
    this.#waiters.clear();
  }

  ended(): void {
    this.#ended.resolve(undefined);
  }

  drained(): void {
    this.#drain?.();
  }

  acknowledged(): void {
    // What is written is nobody else's.
  }

  closed(how: "closed" | "reset" | "timeout"): void {
    this.#closed.resolve(how);
    this.#drain?.();
  }
}

/** A gateway with a guest at its cable. */
export interface TestNetwork extends AsyncDisposable {
  readonly gateway: Gateway;
  readonly guest: GuestPeer;
  readonly events: NetworkEvent[];
  readonly warnings: string[];
  /** Resolves with the first event, from now on or before, that is as wanted. */
  event<Kind extends NetworkEvent["kind"]>(
    kind: Kind,
    isWanted?: (event: Extract<NetworkEvent, { kind: Kind }>) => boolean,
  ): Promise<Extract<NetworkEvent, { kind: Kind }>>;
}

/** Makes one, with a pair of sockets for a cable. */
export async function testNetwork(
  over: Partial<NetworkConfig> = {},
  outside: Partial<GuestPeer["outside"]> = {},
  interception: Interception | null = null,
  agentProgram: string | null = null,
): Promise<TestNetwork> {
  const config = networkConfig(over);
  const [link, far] = await socketPair();
  const events: NetworkEvent[] = [];
  const warnings: string[] = [];
  const waiters = new Set<() => void>();
  const warn = (message: string): void => void warnings.push(message);
  const ports = await PublishedPorts.bind(config.ports, warn);
  const gateway = await openGateway({
    link,
    addresses,
    config,
    ports,
    interception,
    agentProgram,
    event: (event) => {
      events.push(event);
      for (const waiter of waiters) waiter();
      waiters.clear();
    },
    warn,
  });
  const guest = new GuestPeer(far, outside);
  return {
    gateway,
    guest,
    events,
    warnings,
    event: async (kind, isWanted = () => true) => {
      for (;;) {
        for (const event of events)
          if (event.kind === kind && isWanted(event as Parameters<typeof isWanted>[0]))
            return event as Parameters<typeof isWanted>[0];
        await new Promise<void>((resolve) => waiters.add(resolve));
      }
    },
    [Symbol.asyncDispose]: async () => {
      await gateway[Symbol.asyncDispose]();
      guest.close();
    },
  };
}

async function socketPair(): Promise<[Socket, Socket]> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  const near = createConnection({ port, host: "127.0.0.1", noDelay: true });
  const [far] = (await once(server, "connection")) as [Socket];
  far.setNoDelay(true);
  server.close();
  return [near, far];
}
