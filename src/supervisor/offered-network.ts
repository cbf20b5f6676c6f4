import { join } from "node:path";
import { linkOf, networkOf, withNetwork } from "../config/network/network-of.ts";
import type { NetworkConfig } from "../config/network/network-type.ts";
import { guestDirectory } from "../host/package-files.ts";
import type { PublishedPorts } from "../network/flows/ports/published-ports.ts";
import type { BoundPort } from "../network/gateway.ts";
import type { StartedMachine } from "../start/common/context.ts";
import { saveRecord, type SandboxRecord } from "../store/sandbox-record.ts";
import type { SandboxPaths } from "../store/sandboxes.ts";
import { NetworkLog } from "./logs/network-log.ts";
import type { RuntimeLog } from "./logs/runtime-log.ts";
import { LazyGateway } from "./services/network/lazy-gateway.ts";
import { SandboxNetwork } from "./services/network/sandbox-network.ts";

export interface NetworkOptions {
  readonly paths: SandboxPaths;
  readonly record: SandboxRecord;
  readonly runtimeLog: RuntimeLog;
}

/** A sandbox's network before there is a guest: its ports are listened on, so that one that is taken is told before anything runs. */
export class OfferedNetwork implements AsyncDisposable {
  readonly #options: NetworkOptions;
  readonly #config: NetworkConfig;
  readonly #ports: PublishedPorts;
  /** Nobody waits for the disk. */
  readonly #log: Promise<NetworkLog>;

  private constructor(options: NetworkOptions, config: NetworkConfig, ports: PublishedPorts) {
    this.#options = options;
    this.#config = config;
    this.#ports = ports;
    this.#log = NetworkLog.open(options.paths.networkLog);
    this.#log.catch(() => undefined);
  }

  /**
   * @returns null when the sandbox has no network
   * @throws IoError for a port that cannot be had; InvalidConfigError when the host's environment lacks the proxy's password
   */
  static async offer(options: NetworkOptions): Promise<OfferedNetwork | null> {
    const config = networkOf(options.record.config);
    if (config === null) return null;
    if (config.proxy !== null) {
      const { credentialsOf } = await import("../network/flows/proxy/proxy-credentials.ts");
      credentialsOf(config.proxy, process.env);
    }
    const { PublishedPorts: Ports } = await import("../network/flows/ports/published-ports.ts");
    const ports = await Ports.bind(config.ports, (message) => {
      options.runtimeLog.write("warn", message);
    });
    return new OfferedNetwork(options, config, ports);
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
    // Built for Linux: only there does it run on the host too.
    const agentProgram = process.platform === "linux" ? join(guestDirectory(), "agent") : null;
    const warn = (message: string): void => {
      runtimeLog.write("warn", message);
    };
    return await SandboxNetwork.open({
      config,
      log: await this.#log,
      openGateway: (event) =>
        Promise.resolve(new LazyGateway({ link, addresses, config, ports, agentProgram, event, warn })),
      portsChanged,
      persist: (now) => saveRecord(paths.config, { ...record, config: withNetwork(record.config, now) }),
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#ports[Symbol.asyncDispose]();
  }
}
