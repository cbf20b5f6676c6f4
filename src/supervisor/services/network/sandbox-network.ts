import type { Duplex } from "node:stream";
import { parseNetworkUpdate, type NetworkUpdate } from "../../../config/network/network-update.ts";
import type { NetworkConfig, PublishedPort } from "../../../config/network/network-type.ts";
import { isAtOnePlace } from "../../../config/network/ports.ts";
import { withFirstRules } from "../../../config/network/policy/network-policy.ts";
import {
  liveSecrets,
  parseSecretsChange,
  requireUnchanged,
  withSecrets,
  type SecretsChange,
} from "../../../config/network/changes/secrets-change.ts";
import { changeSecretFile } from "../../../store/secret-file.ts";
import type { SandboxInterception } from "../interception/sandbox-interception.ts";
import { checkPolicySize } from "../../../config/network/policy/check-policy.ts";
import { checkTenantRules } from "../../../config/network/policy/tenant-rules.ts";
import { InvalidConfigError, IoError, RuntimeError } from "../../../errors/index.ts";
import type { NetworkEvent } from "../../../network/events.ts";
import type { BoundPort, Gateway, NetworkChange, NetworkCounters } from "../../../network/gateway.ts";
import type { NetworkStatusMessage } from "../../../protocol/generated/messages.ts";
import type { NetworkLog } from "../../logs/network-log.ts";
import type { NetworkControl } from "./network-services.ts";

export interface SandboxNetworkOptions {
  readonly config: NetworkConfig;
  /** What the next run begins with, where that differs. */
  readonly kept?: NetworkConfig;
  readonly log: NetworkLog;
  /** Makes the gateway; what comes to pass is to be told to `event`, and who comes to a published port to `arrived`. */
  readonly openGateway: (told: {
    readonly event: (event: NetworkEvent) => void;
    readonly arrived: () => void;
  }) => Promise<Gateway>;
  /** Has the ports written down where those look for them who do not ask. */
  readonly portsChanged: (ports: readonly BoundPort[]) => Promise<void>;
  /** Keeps a configuration for later runs. @throws IoError */
  readonly persist: (config: NetworkConfig) => Promise<void>;
  /** null: nothing is read. */
  readonly interception: SandboxInterception | null;
  /** Where the values of secrets are stored. */
  readonly secretsPath: string;
}

/** What a network is told to do. */
export interface NetworkSettings {
  /** Now, at the ports that it has. */
  readonly config: NetworkConfig;
  /** From the next run on. */
  readonly kept: NetworkConfig;
}

/** Whose network it is, once there is a sandbox. */
export interface NetworkHost {
  /** Somebody outside has come to a published port, and is let in. */
  readonly arrived: () => void;
  /** Somebody on the host wants to talk with the guest. @throws when that cannot be */
  readonly called: () => void;
}

/** So many flows are told of at a time. */
const mostFlowsTold = 1000;
/** Each takes memory in the gateway and the guest. */
const mostConnections = 1024;

/** A running sandbox's network as its clients have it: its gateway, its log, and what both were told last. */
export class SandboxNetwork implements NetworkControl, AsyncDisposable {
  readonly log: NetworkLog;
  readonly #options: SandboxNetworkOptions;
  readonly #gateway: Gateway;
  /** null: until there is a sandbox. */
  readonly #host: { current: NetworkHost | null };
  /** What is in force. */
  #config: NetworkConfig;
  /** What the next run begins with: without the changes for the moment. */
  #kept: NetworkConfig;
  /** Changes are made one after the other. */
  #changing: Promise<void> = Promise.resolve();
  #connections = 0;

  private constructor(
    options: SandboxNetworkOptions,
    gateway: Gateway,
    host: { current: NetworkHost | null },
  ) {
    this.#options = options;
    this.#gateway = gateway;
    this.#host = host;
    this.#config = options.config;
    this.#kept = options.kept ?? options.config;
    this.log = options.log;
  }

  /** @throws what making the gateway throws, such as that a port is taken */
  static async open(options: SandboxNetworkOptions): Promise<SandboxNetwork> {
    const { log, config } = options;
    // Before the first event that it decides about.
    log.policy("start", config.policy, config.observe);
    const host = { current: null as NetworkHost | null };
    const gateway = await options.openGateway({
      event: (event) => {
        log.event(event);
      },
      arrived: () => {
        host.current?.arrived();
      },
    });
    return new SandboxNetwork(options, gateway, host);
  }

  get counters(): NetworkCounters {
    return this.#gateway.counters;
  }

  get ports(): readonly BoundPort[] {
    return this.#gateway.ports;
  }

  /** Once it is closed it has no ports any more. */
  get settings(): NetworkSettings {
    return { config: { ...this.#config, ports: this.ports }, kept: this.#kept };
  }

  /** Whether somebody outside is connected with the guest. */
  get isInUse(): boolean {
    return this.#gateway.isInUse;
  }

  /** Says whose network it is. */
  belongTo(host: NetworkHost): void {
    this.#host.current = host;
  }

  status(flows: boolean): NetworkStatusMessage {
    const { policy, observe, maxConnections } = this.#config;
    return {
      type: "NetworkStatus",
      ports: this.ports,
      counters: this.counters,
      policy: JSON.stringify(policy),
      observe,
      maxConnections,
      flows: flows ? this.#gateway.flows(mostFlowsTold) : [],
    };
  }

  async update(change: string, persist: boolean): Promise<void> {
    const update = parseNetworkUpdate(change);
    const done = this.#changing.then(() => this.#change(update, persist));
    this.#changing = done.catch(() => undefined);
    await done;
  }

  async modifySecrets(change: string, live: boolean): Promise<void> {
    const parsed = parseSecretsChange(change);
    const done = this.#changing.then(() => this.#modifySecrets(parsed, live));
    this.#changing = done.catch(() => undefined);
    await done;
  }

  async connect(guestPort: number, signal: AbortSignal): Promise<Duplex> {
    if (guestPort === 0) throw new InvalidConfigError("a guest has no port 0", { hint: "Use 1 to 65535." });
    this.#host.current?.called();
    if (this.#connections >= mostConnections) {
      throw new RuntimeError(`${mostConnections} connections to the guest are open already`, {
        hint: "Close those that are not needed any more.",
      });
    }
    this.#connections++;
    try {
      const socket = await this.#gateway.connect(guestPort, signal);
      socket.once("close", () => this.#connections--);
      return socket;
    } catch (error) {
      this.#connections--;
      throw error;
    }
  }

  /** All flows end, and the log has them all. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#gateway[Symbol.asyncDispose]();
    await this.log.close();
  }

  async #change(update: NetworkUpdate, persist: boolean): Promise<void> {
    const before = this.#config;
    const { addRules, unpublish = [], ...rest } = update;
    const gone = unpublish.map((name) => findPort(this.ports, name));
    const after = changed(before, update, gone);
    const kept = persist ? changed(this.#kept, update, gone) : null;
    checkPolicySize(after.policy);
    if (kept !== null) checkPolicySize(kept.policy);
    if (before.deploymentProfile === "multi-tenant") checkTenantRules(addRules ?? []);
    const change: NetworkChange = {
      ...rest,
      ...(addRules === undefined ? {} : { policy: after.policy }),
      ...(gone.length === 0 ? {} : { unpublish: gone }),
    };
    const isDecidedAnew = change.policy !== undefined || change.observe !== undefined;
    await this.#gateway.update(change, () => {
      if (isDecidedAnew) this.log.policy("update", after.policy, after.observe);
    });
    this.#config = after;
    await this.#note(change.publish !== undefined || gone.length > 0, kept);
  }

  async #modifySecrets({ expected, secrets, values }: SecretsChange, live: boolean): Promise<void> {
    const { interception, persist, secretsPath } = this.#options;
    requireUnchanged(expected, this.#kept.secrets);
    if (live && interception === null) {
      throw new RuntimeError(
        "nothing of this sandbox's connections is read: it was started without secrets",
        {
          hint: "Change it for its next start, and restart it.",
        },
      );
    }
    const kept = withSecrets(this.#kept, secrets);
    const entries = Object.entries(values);
    await changeSecretFile(secretsPath, secrets, entries, () => persist(kept));
    this.#kept = kept;
    if (!live || interception === null) return;
    const inForce = liveSecrets(this.#config.secrets, expected, secrets);
    const known = new Set(this.#config.secrets.map(({ envVar }) => envVar));
    interception.secrets.change(new Map(entries.filter(([envVar]) => known.has(envVar))));
    this.#config = { ...this.#config, secrets: inForce };
    await this.#gateway.update({ interception: await interception.interception(this.#config) });
  }

  /** @param kept null: nothing is to be kept */
  async #note(portsChanged: boolean, kept: NetworkConfig | null): Promise<void> {
    try {
      if (portsChanged) await this.#options.portsChanged(this.ports);
      if (kept === null) return;
      await this.#options.persist(kept);
      this.#kept = kept;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new IoError(`the network has changed, but that could not be written down: ${reason}`, {
        cause: error,
        hint: "Make room on the disk of the sandbox's directory, and make the same change again.",
      });
    }
  }
}

/** A configuration after a change. What is in force and what is kept may differ, and each is changed by itself. */
function changed(before: NetworkConfig, update: NetworkUpdate, gone: readonly BoundPort[]): NetworkConfig {
  const { policy = before.policy, addRules = [], publish = [] } = update;
  // One that is kept may have been taken back for the moment, and its place given to another.
  const stay = gone
    .reduce(without, before.ports)
    .filter((port) => !publish.some((other) => isAtOnePlace(other, port)));
  return {
    ...before,
    policy: withFirstRules(policy, addRules),
    observe: update.observe ?? before.observe,
    maxConnections: update.maxConnections ?? before.maxConnections,
    rateLimiter: update.rateLimiter === undefined ? before.rateLimiter : update.rateLimiter,
    ports: [...stay, ...publish],
  };
}

/** @throws InvalidConfigError */
function findPort(
  ports: readonly BoundPort[],
  { hostBind, hostPort, protocol }: NonNullable<NetworkUpdate["unpublish"]>[number],
): BoundPort {
  const found = ports.filter(
    (port) =>
      port.hostPort === hostPort &&
      port.protocol === protocol &&
      (hostBind === undefined || port.hostBind === hostBind),
  );
  const [port] = found;
  const asked = `${hostBind === undefined ? "" : `${hostBind}:`}${hostPort}/${protocol}`;
  if (port === undefined)
    throw new InvalidConfigError(`no port is published as ${asked}`, {
      hint: "msb port shows those that are.",
    });
  if (found.length > 1) {
    throw new InvalidConfigError(`several ports are published as ${asked}`, {
      hint: `Say which: ${found.map((one) => `${one.hostBind}:${one.hostPort}`).join(", ")}.`,
    });
  }
  return port;
}

/** What was asked for without one that is published no more. It may have been asked for with port 0. */
function without(asked: readonly PublishedPort[], gone: BoundPort): readonly PublishedPort[] {
  const like = (hostPort: number) => (port: PublishedPort) =>
    port.hostPort === hostPort &&
    port.hostBind === gone.hostBind &&
    port.protocol === gone.protocol &&
    port.guestPort === gone.guestPort;
  const exact = asked.findIndex(like(gone.hostPort));
  const index = exact === -1 ? asked.findIndex(like(0)) : exact;
  return asked.filter((_, at) => at !== index);
}
