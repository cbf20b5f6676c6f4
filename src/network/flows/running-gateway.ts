import type { Duplex } from "node:stream";
import { defaultMaxConnections } from "../../config/network/network-defaults.ts";
import type { NetworkPolicy } from "../../config/network/policy-type.ts";
import { InvalidConfigError, RuntimeError } from "../../errors/index.ts";
import { createDnsResolver } from "../dns/forwarder.ts";
import type { GatewayOptions, NetworkChange } from "../gateway-options.ts";
import { GuestInterface } from "../ip/guest-interface.ts";
import { protocolNumbers } from "../ip/packet.ts";
import { isUpperChecksumRight } from "../ip/upper-checksum.ts";
import { FrameLink } from "../link/frame-link.ts";
import type { Bindings } from "../policy/bindings.ts";
import { createPolicyEngine } from "../policy/create-engine.ts";
import { DnsBindings } from "../policy/dns-bindings.ts";
import { TcpGate } from "../tcp/tcp-gate.ts";
import { DnsFront } from "./dns-front.ts";
import { EchoFront } from "./echo/echo-front.ts";
import { HostEcho } from "./echo/host-echo.ts";
import { FlowLog, type OpenFlow } from "./flow-log.ts";
import { Gatekeeper, type Policies } from "./gatekeeper.ts";
import { HostAddresses } from "./host-addresses.ts";
import { GuestStream } from "./inbound/guest-stream.ts";
import { PublishedTcp } from "./inbound/published-tcp.ts";
import { PublishedUdp } from "./inbound/published-udp.ts";
import { dialByProxy } from "./proxy/dial-by-proxy.ts";
import { RareWarning } from "./rare-warning.ts";
import { RememberedNames, review } from "./review.ts";
import { Slabs } from "./slabs.ts";
import { dialDirectly } from "./tcp/dial.ts";
import { OutboundTcp } from "./tcp/outbound.ts";
import { Reading, ReadingRules } from "./tcp/reading.ts";
import { OutboundUdp } from "./udp/outbound.ts";

const allowAll: NetworkPolicy = { defaultEgress: "allow", defaultIngress: "allow", rules: [] };

/** All that joins the guest's cable with the host's sockets. */
export class RunningGateway {
  readonly #options: GatewayOptions;
  readonly #host = new HostAddresses();
  readonly #bindings = new DnsBindings();
  readonly #slabs = new Slabs();
  readonly #streams = new Set<GuestStream>();
  readonly #gatekeeper: Gatekeeper;
  readonly #log: FlowLog;
  readonly #link: FrameLink;
  readonly #guest: GuestInterface;
  readonly #tcp: TcpGate;
  readonly #hostEcho: HostEcho;
  readonly #echo: EchoFront;
  readonly #dns: DnsFront;
  readonly #reading: Reading;
  readonly #outboundTcp: OutboundTcp;
  readonly #outboundUdp: OutboundUdp;
  readonly #publishedTcp: PublishedTcp;
  readonly #publishedUdp: PublishedUdp;
  #policy: NetworkPolicy;
  #observe: boolean;
  #dnsQueries = 0;
  #dnsDenied = 0;
  #isClosed = false;

  constructor(options: GatewayOptions) {
    const { link, addresses, config, event, warn } = options;
    this.#options = options;
    this.#hostEcho = new HostEcho(options.agentProgram ?? null);
    this.#policy = config.policy;
    this.#observe = config.observe;
    const gatekeeper = this.#gatekeeperFor(config.policy, config.observe, this.#bindings);
    this.#gatekeeper = gatekeeper;
    const log = new FlowLog(event, (address) => gatekeeper.groupOf(address));
    this.#log = log;
    const lost = new RareWarning(warn);
    // What can fail comes before the cable is taken.
    const dial = config.proxy === null ? dialDirectly : dialByProxy(config.proxy, process.env, warn);
    this.#link = new FrameLink({
      stream: link,
      rateLimiter: config.rateLimiter,
      failed: (error) => lost.tell(`a frame of the guest was lost: ${String(error)}`),
      closed: (error) => {
        if (error !== null) warn(`the guest's cable: ${error.message}`);
        // There is no guest any more.
        void this.close();
      },
    });
    this.#guest = new GuestInterface({
      link: this.#link,
      addresses,
      answersEcho: (packet) => echo.answers(packet),
    });
    const { sender: ip, errors } = this.#guest;
    const slabs = this.#slabs;
    const echo = new EchoFront({ gatekeeper, log, ip, errors, host: this.#hostEcho });
    this.#echo = echo;
    this.#reading = new Reading(options.interception ?? null, event, (error) =>
      lost.tell(`a connection of the guest could not be read: ${String(error)}`),
    );
    const resolver = createDnsResolver({
      config,
      addresses,
      policy: gatekeeper,
      bindings: this.#bindings,
      readsTls: () => (this.#reading.rules?.interception.tls ?? null) !== null,
      event: (answered) => {
        this.#dnsQueries++;
        if (answered.outcome === "denied") this.#dnsDenied++;
        event(answered);
      },
      warn,
    });
    this.#dns = new DnsFront(resolver, ip, log);
    this.#tcp = new TcpGate({
      sender: ip,
      isChecksumRight: isUpperChecksumRight,
      request: (request) => this.#outboundTcp.request(request),
      unreachable: (about, reason) => errors.unreachable(about, reason),
    });
    this.#outboundTcp = new OutboundTcp({
      gatekeeper,
      log,
      slabs,
      reading: this.#reading,
      isStrict: config.strict,
      maxConnections: config.maxConnections,
      dial,
      dialHost: dialDirectly,
      dns: (request) => this.#dns.connection(request),
    });
    const published = { addresses, gatekeeper, log, arrived: options.arrived ?? ((): void => undefined) };
    this.#publishedTcp = new PublishedTcp({ ...published, tcp: this.#tcp, slabs });
    this.#publishedUdp = new PublishedUdp({ ...published, ip });
    this.#outboundUdp = new OutboundUdp({
      ip,
      icmp: errors,
      gatekeeper,
      log,
      slabs,
      warn,
      isQuicBlocked: (port) => this.#reading.rules?.isQuicBlocked(port) === true,
      dns: (packet, datagram) => this.#dns.datagram(packet, datagram),
      published: (packet, datagram) => this.#publishedUdp.reply(packet, datagram),
    });
    this.#guest.on(protocolNumbers.tcp, (packet) => {
      this.#tcp.receive(packet);
    });
    this.#guest.on(protocolNumbers.udp, (packet) => this.#outboundUdp.packet(packet));
    for (const protocol of [protocolNumbers.icmpv4, protocolNumbers.icmpv6])
      this.#guest.on(protocol, (packet) => echo.outside(packet));
  }

  get counters(): {
    rxBytes: number;
    txBytes: number;
    rxFrames: number;
    txFrames: number;
    flowsOpened: number;
    flowsDenied: number;
    dnsQueries: number;
    dnsDenied: number;
    activeFlows: number;
  } {
    const { fromGuest, toGuest } = this.#link;
    return {
      rxBytes: toGuest.bytes,
      txBytes: fromGuest.bytes,
      rxFrames: toGuest.frames,
      txFrames: fromGuest.frames,
      flowsOpened: this.#log.opened,
      flowsDenied: this.#log.denied,
      dnsQueries: this.#dnsQueries,
      dnsDenied: this.#dnsDenied,
      activeFlows: this.#log.active.size,
    };
  }

  get isInUse(): boolean {
    return this.#streams.size > 0 || this.#publishedTcp.isInUse;
  }

  flows(most: number): OpenFlow[] {
    return this.#log.list(most);
  }

  /** Takes what comes from now on. */
  start(): void {
    this.#options.ports.serve({
      connection: (listener, socket) => this.#publishedTcp.connection(listener, socket),
      datagram: (listener, payload, peer) => this.#publishedUdp.datagram(listener, payload, peer),
      closed: (listener) => {
        this.#publishedTcp.portClosed(listener);
        this.#publishedUdp.portClosed(listener);
      },
    });
    this.#guest.start();
  }

  async connect(guestPort: number, signal: AbortSignal): Promise<Duplex> {
    const { addresses } = this.#options;
    if (this.#isClosed) throw closedError();
    const options = { tcp: this.#tcp, addresses, slabs: this.#slabs, streams: this.#streams };
    return await GuestStream.connect(options, guestPort, signal);
  }

  /** See `Gateway.update`. */
  async update(change: NetworkChange, inForce: () => void = () => undefined): Promise<void> {
    if (this.#options.config.deploymentProfile === "multi-tenant") checkTenantChange(change);
    const policy = change.policy ?? this.#policy;
    const observe = change.observe ?? this.#observe;
    // What can fail comes first.
    const policies = this.#compile(policy, observe, this.#bindings);
    const ports = await this.#options.ports.prepare(change);
    if (this.#isClosed) {
      await ports.rollback();
      throw closedError();
    }
    this.#policy = policy;
    this.#observe = observe;
    this.#log.flush();
    this.#gatekeeper.policies = policies;
    inForce();
    if (change.maxConnections !== undefined) this.#outboundTcp.maxConnections = change.maxConnections;
    if (change.interception !== undefined)
      this.#reading.rules = change.interception === null ? null : new ReadingRules(change.interception);
    if (change.rateLimiter !== undefined) this.#link.setRateLimits(change.rateLimiter);
    const names = new RememberedNames(this.#bindings);
    review(this.#log.active, this.#gatekeeperFor(policy, observe, names), names);
    await ports.commit();
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const stream of this.#streams) stream.abort(closedError());
    this.#outboundTcp.close();
    this.#outboundUdp.close();
    this.#publishedTcp.close();
    this.#publishedUdp.close();
    this.#dns.close();
    this.#echo.close();
    this.#hostEcho.close();
    this.#tcp.close();
    this.#guest.close();
    this.#log.flush();
    await this.#options.ports[Symbol.asyncDispose]();
  }

  #gatekeeperFor(policy: NetworkPolicy, observe: boolean, bindings: Bindings): Gatekeeper {
    const policies = this.#compile(policy, observe, bindings);
    const { addresses, config } = this.#options;
    return new Gatekeeper({ policies, bindings, addresses, host: this.#host, isStrict: config.strict });
  }

  #compile(policy: NetworkPolicy, observe: boolean, bindings: Bindings): Policies {
    const { addresses, config } = this.#options;
    const common = {
      bindings,
      gateways: [addresses.ipv4, addresses.ipv6].flatMap((family) => family?.gateway ?? []),
      deploymentProfile: config.deploymentProfile,
    };
    const configured = createPolicyEngine({ ...common, policy });
    return {
      configured,
      inForce: observe ? createPolicyEngine({ ...common, policy: allowAll }) : configured,
      rules: observe ? [] : policy.rules,
      isMultiTenant: config.deploymentProfile === "multi-tenant",
    };
  }
}

function closedError(): RuntimeError {
  return new RuntimeError("the sandbox's network is closed");
}

function checkTenantChange({ publish = [], observe = false, maxConnections = 0 }: NetworkChange): void {
  if (observe)
    throw new InvalidConfigError("a multi-tenant sandbox is not observed instead of decided about", {
      hint: "Observe what it needs in a sandbox of your own.",
    });
  if (publish.length > 0)
    throw new InvalidConfigError("a multi-tenant sandbox publishes no ports", {
      hint: 'Use connect() from the host, or the deployment profile "single-tenant".',
    });
  if (maxConnections > defaultMaxConnections)
    throw new InvalidConfigError(`a multi-tenant sandbox has at most ${defaultMaxConnections} connections`, {
      hint: "Ask for fewer.",
    });
}
