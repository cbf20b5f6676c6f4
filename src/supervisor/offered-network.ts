import { join } from "node:path";
import { linkOf, networkOf, withNetwork } from "../config/network/network-of.ts";
import { checkProxyCredentials } from "../config/network/proxy/proxy-credentials.ts";
import type { NetworkConfig } from "../config/network/network-type.ts";
import { guestDirectory } from "../host/package-files.ts";
import type { PublishedPorts } from "../network/flows/ports/published-ports.ts";
import type { BoundPort } from "../network/gateway.ts";
import type { StartedMachine } from "../start/common/context.ts";
import type { Home } from "../store/home.ts";
import { saveRecord, type SandboxRecord } from "../store/sandbox-record.ts";
import type { SandboxPaths } from "../store/sandboxes.ts";
import { NetworkLog } from "./logs/network-log.ts";
import type { RuntimeLog } from "./logs/runtime-log.ts";
import type { OpenStream } from "./services/interception/hooks/hook-call.ts";
import type { AskProgram } from "./services/interception/program-secrets.ts";
import type { SandboxInterception } from "./services/interception/sandbox-interception.ts";
import { LazyGateway } from "./services/network/lazy-gateway.ts";
import { SandboxNetwork, type NetworkSettings } from "./services/network/sandbox-network.ts";

export interface NetworkOptions {
  readonly paths: SandboxPaths;
  readonly record: SandboxRecord;
  readonly runtimeLog: RuntimeLog;
  readonly home: Home;
  /** The program that owns the sandbox. */
  readonly ask: AskProgram;
  readonly converse: OpenStream;
  /** The sandbox is to end, for what it has sent. */
  readonly terminate: (reason: string) => void;
}

/** A sandbox's network before there is a guest: its ports are listened on, so that one that is taken is told before anything runs. */
export class OfferedNetwork implements AsyncDisposable {
  readonly #options: NetworkOptions;
  readonly #config: NetworkConfig;
  /** What the next run begins with. */
  readonly #kept: NetworkConfig;
  readonly #ports: PublishedPorts;
  /** null: nothing is read. */
  readonly #interception: SandboxInterception | null;
  /** Nobody waits for the disk. */
  readonly #log: Promise<NetworkLog>;

  private constructor(
    options: NetworkOptions,
    config: NetworkConfig,
    ports: PublishedPorts,
    interception: SandboxInterception | null,
    kept = config,
  ) {
    this.#options = options;
    this.#config = config;
    this.#kept = kept;
    this.#ports = ports;
    this.#interception = interception;
    this.#log = NetworkLog.open(options.paths.networkLog);
    this.#log.catch(() => undefined);
  }

  /**
   * @returns null when the sandbox has no network
   * @throws IoError for a port that cannot be had; InvalidConfigError when the host's environment lacks the proxy's password, the authority
   *   of interception is none, or a secret has no value
   */
  static async offer(options: NetworkOptions, signal: AbortSignal): Promise<OfferedNetwork | null> {
    const config = networkOf(options.record.config);
    if (config === null) return null;
    checkProxyCredentials(options.record.config, process.env);
    const interception = await loadInterception(options, config, signal);
    return new OfferedNetwork(options, config, await bindPorts(options, config), interception);
  }

  /**
   * The same for another guest of the same sandbox, once that of the first is closed: with the rules, ports and secrets that are in force now.
   *
   * @throws IoError for a port that somebody else has got meanwhile
   */
  async again({ config, kept }: NetworkSettings): Promise<OfferedNetwork> {
    const options = this.#options;
    return new OfferedNetwork(options, config, await bindPorts(options, config), this.#interception, kept);
  }

  get ports(): readonly BoundPort[] {
    return this.#ports.list;
  }

  /**
   * Takes the guest's cable.
   *
   * @param portsChanged has the ports written down where those look for them who do not ask
   * @returns null when the guest has none
   * @throws IoError when its log cannot be opened
   */
  async open(
    { machine, network }: StartedMachine,
    portsChanged: (ports: readonly BoundPort[]) => Promise<void>,
  ): Promise<SandboxNetwork | null> {
    const { paths, record, runtimeLog } = this.#options;
    const config = this.#config;
    const ports = this.#ports;
    const link = machine.networkPort;
    const addresses = linkOf(record.config, network);
    if (addresses === null || link === null) return null;
    const interception = this.#interception;
    interception?.requireTrusted(network?.trust ?? null);
    // Built for Linux: only there does it run on the host too.
    const agentProgram = process.platform === "linux" ? join(guestDirectory(), "agent") : null;
    const warn = (message: string): void => {
      runtimeLog.write("warn", message);
    };
    return await SandboxNetwork.open({
      ...{ config, kept: this.#kept },
      log: await this.#log,
      openGateway: (told) =>
        Promise.resolve(
          new LazyGateway({
            ...{ link, addresses, config, ports, agentProgram, warn, ...told },
            interception: interception === null ? null : () => interception.interception(config),
          }),
        ),
      portsChanged,
      interception,
      secretsPath: paths.secrets,
      persist: (now) => saveRecord(paths.config, { ...record, config: withNetwork(record.config, now) }),
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#ports[Symbol.asyncDispose]();
  }
}

async function bindPorts({ runtimeLog }: NetworkOptions, { ports }: NetworkConfig): Promise<PublishedPorts> {
  const { PublishedPorts: Ports } = await import("../network/flows/ports/published-ports.ts");
  return await Ports.bind(ports, (message) => {
    runtimeLog.write("warn", message);
  });
}

async function loadInterception(
  { home, paths, ask, converse, terminate, runtimeLog }: NetworkOptions,
  { tls, secrets }: NetworkConfig,
  signal: AbortSignal,
): Promise<SandboxInterception | null> {
  if (tls === null) return null;
  const { SandboxInterception: Loaded } = await import("./services/interception/sandbox-interception.ts");
  const warn = (message: string): void => {
    runtimeLog.write("warn", message);
  };
  const options = { home, tls, secrets, secretsPath: paths.secrets, ask, converse, warn, terminate };
  return await Loaded.load(options, signal);
}
