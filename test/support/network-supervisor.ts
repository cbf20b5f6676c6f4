import { connect, type AddressInfo, type Server } from "node:net";
import { duplexPair, type Duplex } from "node:stream";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { SupervisorConnection } from "../../src/api/control/connection.ts";
import type { SandboxControl } from "../../src/api/control/sandbox-control.ts";
import {
  defaultDns,
  defaultInterface,
  defaultMaxConnections,
} from "../../src/config/network/network-defaults.ts";
import { noInterception } from "../../src/config/network/interception/interception-settings.ts";
import type { NetworkConfig } from "../../src/config/network/network-type.ts";
import { RuntimeError, SandboxNotRunningError } from "../../src/errors/index.ts";
import type { NetworkEvent } from "../../src/network/events.ts";
import type {
  BoundPort,
  Gateway,
  NetworkChange,
  NetworkCounters,
  OpenFlow,
} from "../../src/network/gateway.ts";
import type { EndedMessage } from "../../src/protocol/generated/messages.ts";
import { Client, type ClientServices } from "../../src/supervisor/clients/client.ts";
import { NetworkLog } from "../../src/supervisor/logs/network-log.ts";
import { clientServices } from "../../src/supervisor/services/client-services.ts";
import {
  SandboxNetwork,
  type SandboxNetworkOptions,
} from "../../src/supervisor/services/network/sandbox-network.ts";

export const networkConfig: NetworkConfig = {
  ...noInterception,
  policy: { defaultEgress: "deny", defaultIngress: "allow", rules: [] },
  observe: false,
  ports: [],
  dns: defaultDns,
  interface: defaultInterface,
  maxConnections: defaultMaxConnections,
  rateLimiter: null,
  proxy: null,
  deploymentProfile: "single-tenant",
};

/** A gateway without a guest: whoever connects to it reaches a server of the test's. */
export class TestGateway implements Gateway {
  readonly counters: NetworkCounters = {
    ...{ rxBytes: 1, txBytes: 2, rxFrames: 3, txFrames: 4, flowsOpened: 5 },
    ...{ flowsDenied: 6, dnsQueries: 7, dnsDenied: 8, activeFlows: 9 },
  };
  ports: readonly BoundPort[] = [];
  openFlows: readonly OpenFlow[] = [];
  isInUse = false;
  readonly changes: NetworkChange[] = [];
  /** What a change is answered with. */
  refusal: Error | null = null;
  /** Servers by the port of the guest. */
  readonly servers = new Map<number, Server>();
  /** Connections to them. */
  readonly connections: Duplex[] = [];
  closed = false;

  flows(most: number): readonly OpenFlow[] {
    return this.openFlows.slice(-most);
  }

  connect(guestPort: number, signal: AbortSignal): Promise<Duplex> {
    const server = this.servers.get(guestPort);
    if (server === undefined) return Promise.reject(new RuntimeError(`port ${guestPort} refused it`));
    const socket = connect({ port: (server.address() as AddressInfo).port, allowHalfOpen: true });
    this.connections.push(socket);
    const { promise, resolve, reject } = Promise.withResolvers<Duplex>();
    signal.addEventListener("abort", () => socket.destroy(), { once: true });
    socket.once("connect", () => {
      socket.off("error", reject);
      resolve(socket);
    });
    socket.once("error", reject);
    return promise;
  }

  update(change: NetworkChange, inForce?: () => void): Promise<void> {
    this.changes.push(change);
    if (this.refusal !== null) return Promise.reject(this.refusal);
    inForce?.();
    const published = (change.publish ?? []).map((port) => ({ ...port, hostPort: port.hostPort || 40_000 }));
    const gone = change.unpublish ?? [];
    const stays = this.ports.filter((port) => !gone.some(({ hostPort }) => hostPort === port.hostPort));
    this.ports = [...stays, ...published];
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.closed = true;
    return Promise.resolve();
  }
}

/** A sandbox's network with its supervisor's part and a client's, joined by the protocol. */
export interface NetworkSupervisor {
  readonly gateway: TestGateway;
  readonly network: SandboxNetwork;
  readonly log: NetworkLog;
  readonly logPath: string;
  /** What a client has of the sandbox. */
  readonly control: SandboxControl;
  readonly connection: SupervisorConnection;
  /** Something comes to pass. */
  readonly event: (event: NetworkEvent) => void;
  /** Configurations that were kept. */
  readonly kept: NetworkConfig[];
  readonly written: (readonly BoundPort[])[];
  /** The same of a sandbox that was created without a network. */
  readonly without: SandboxControl;
  /** Opens the log anew, as the next run does. */
  readonly reopenLog: () => Promise<NetworkLog>;
  /** The sandbox ends. */
  readonly end: () => Promise<void>;
}

/** @param over what the sandbox has besides a network */
export async function networkSupervisor(
  t: TestContext,
  over: Partial<Pick<SandboxNetworkOptions, "config" | "interception">> = {},
): Promise<NetworkSupervisor> {
  const directory = await mkdtemp(join(tmpdir(), "msb-network-"));
  const logPath = join(directory, "network.log");
  const log = await NetworkLog.open(logPath);
  const gateway = new TestGateway();
  const kept: NetworkConfig[] = [];
  const written: (readonly BoundPort[])[] = [];
  let event: (event: NetworkEvent) => void = () => undefined;
  const network = await SandboxNetwork.open({
    config: networkConfig,
    log,
    openGateway: (told) => {
      event = told.event;
      return Promise.resolve(gateway);
    },
    portsChanged: (ports) => {
      written.push(ports);
      return Promise.resolve();
    },
    interception: null,
    secretsPath: join(directory, "secrets.json"),
    persist: (config) => {
      kept.push(config);
      return Promise.resolve();
    },
    ...over,
  });
  let status: "running" | "stopped" = "running";
  const endWatchers = new Set<(ended: EndedMessage) => void>();
  const [near, far] = duplexPair();
  const services = {
    id: "id",
    name: "demo",
    state: "running",
    network: () => network,
    disconnected: () => undefined,
    onEnded: (callback: (ended: EndedMessage) => void) => {
      endWatchers.add(callback);
      return () => endWatchers.delete(callback);
    },
  } as unknown as ClientServices;
  new Client(near, services, clientServices(services), true);
  const connection = SupervisorConnection.inherited(far, {
    message: () => undefined,
    lost: () => undefined,
  });
  const known = {
    name: "demo",
    record: { config: { disableNetwork: false } },
    find: () => Promise.resolve({ status, paths: { networkLog: logPath } }),
    borrow: () =>
      status === "running"
        ? Promise.resolve({ connection, [Symbol.dispose]: () => undefined })
        : Promise.reject(new SandboxNotRunningError("over")),
    explainLoss: <T>(answer: Promise<T>) => answer,
    waitForChange: () => new Promise(setImmediate),
  };
  const control = known as unknown as SandboxControl;
  const without = { ...known, record: { config: { disableNetwork: true } } } as unknown as SandboxControl;
  const reopenLog = (): Promise<NetworkLog> => NetworkLog.open(logPath);
  const end = async (): Promise<void> => {
    await network[Symbol.asyncDispose]();
    status = "stopped";
    for (const told of endWatchers)
      told({ type: "Ended", state: "stopped", exitCode: 0, signal: null, reason: "" });
  };
  t.after(async () => {
    for (const socket of gateway.connections) socket.destroy();
    connection.close();
    for (const socket of gateway.connections) socket.destroy();
    for (const server of gateway.servers.values()) server.close();
    await log.close();
    await rm(directory, { recursive: true, force: true });
  });
  return {
    ...{ gateway, network, log, logPath, control, connection, kept, written, end, without, reopenLog },
    event: (told) => event(told),
  };
}

/** A server that the test's gateway takes for a port of the guest. */
export async function guestServer(gateway: TestGateway, port: number, server: Server): Promise<void> {
  server.on("connection", (peer) => peer.on("error", () => undefined));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  gateway.servers.set(port, server);
}
