import { iterated } from "../../host/iterated.ts";
import type { Operation, WaitOptions } from "../../host/operation.ts";
import type { NetworkPolicy } from "../../config/network/policy-type.ts";
import type { PublishedPort } from "../../config/network/network-type.ts";
import type { NetworkLogEvent } from "../../network/events.ts";
import { isTerminal } from "../../config/enums.ts";
import type { SandboxControl } from "../control/sandbox-control.ts";
import { missingSecrets } from "../providers/run-secrets.ts";
import { readSecretFile } from "../../store/secret-file.ts";
import { portMs, waitForGuestPort } from "./connect-guest.ts";
import {
  networkEventOptions,
  networkEvents,
  requireNetwork,
  type NetworkEventOptions,
} from "./network-events.ts";
import type { SuggestionOptions } from "../../network/suggestion/suggest-policy.ts";
import type { ModifyOptions, SandboxModificationPlan } from "../modify/modification-plan.ts";
import {
  checkNetworkChanges,
  networkUpdateOptions,
  type NetworkChanges,
  type NetworkUpdateOptions,
} from "./update-network.ts";
import { statusFrom, type SandboxNetworkStatus } from "./network-status.ts";

/** From what a policy is suggested, and how. */
export interface SuggestPolicyOptions extends SuggestionOptions {
  /** Only from what came to pass from this moment on. */
  readonly since?: Date;
}

const suggestOptions = { since: "any", mergeNamesFrom: "any" } as const;

/** What can be asked of a sandbox's network by whoever knows the sandbox. */
export class NetworkedSandbox {
  protected readonly control: SandboxControl;

  /** @internal */
  constructor(control: SandboxControl) {
    this.control = control;
    // Of no use to users: kept out of what inspect shows.
    Object.defineProperty(this, "control", { enumerable: false });
  }

  /**
   * The ports of the guest that the host offers now, with the port that was chosen where any would do. Empty while it does not run.
   *
   * @example
   * ```ts
   * import { Sandbox } from "microsandbox";
   *
   * await using sandbox = await Sandbox.builder("ports-example")
   *   .image("localhost/base")
   *   .port(0, 80)
   *   .replace()
   *   .create();
   * for (const { hostBind, hostPort, guestPort } of await sandbox.ports()) console.log(hostBind, hostPort, guestPort);
   * ```
   */
  async ports(options: WaitOptions = {}): Promise<readonly PublishedPort[]> {
    const find = async (operation: Operation): Promise<readonly PublishedPort[]> => {
      const { status, state } = await operation.wait(this.control.find());
      return isTerminal(status) ? [] : state.ports;
    };
    return await this.control.run("look up the ports of sandbox", options, find);
  }

  /**
   * What the network is now, what it has done since the start, and which connections are open.
   *
   * @throws SandboxNotRunningError; UnsupportedOperationError for one without a network
   *
   * @example
   * ```ts
   * import { Sandbox } from "microsandbox";
   *
   * await using sandbox = await Sandbox.builder("status-example").image("localhost/base").replace().create();
   * const { policy, counters, flows } = await sandbox.networkStatus();
   * console.log(policy.defaultEgress, counters.flowsOpened, flows.length);
   * ```
   */
  async networkStatus(options: WaitOptions = {}): Promise<SandboxNetworkStatus> {
    const ask = async (operation: Operation): Promise<SandboxNetworkStatus> => {
      requireNetwork(this.control);
      const question = { type: "NetworkRequest", flows: true } as const;
      return statusFrom(await this.control.request(operation, question, "NetworkStatus"));
    };
    return await this.control.run("look at the network of sandbox", options, ask);
  }

  /**
   * What comes to pass on the network, in order and each once, from all runs that are still logged: connections that were let through,
   * refused and ended, with the rule that decided and the name that was evidence; questions to the resolver and what was answered; and
   * which policy decided from when on. With `follow` it goes on until the sandbox ends.
   *
   * What is written faster than the disk takes it, or was rotated away before it was read, is told of as `lost`.
   *
   * @throws UnsupportedOperationError for a sandbox without a network
   *
   * @example
   * ```ts
   * import { Sandbox } from "microsandbox";
   *
   * await using sandbox = await Sandbox.builder("events-example").image("localhost/base").replace().create();
   * await sandbox.exec("nslookup", ["nothing.invalid"]);
   * for await (const event of sandbox.networkEvents()) {
   *   if (event.kind === "dns") console.log(event.name, event.rcode);
   *   if (event.kind === "flow-denied") console.log("denied", event.name ?? event.address, event.port);
   * }
   * ```
   */
  async *networkEvents(
    options: NetworkEventOptions & WaitOptions = {},
  ): AsyncGenerator<NetworkLogEvent, void, undefined> {
    yield* iterated<Operation, NetworkLogEvent>(
      (iterate) =>
        this.control.run("read the network's events of sandbox", options, iterate, networkEventOptions),
      (operation) => networkEvents(this.control, options, operation),
    );
  }

  /**
   * Changes the network of the running sandbox: all of it, or, when it throws, nothing. Connections that are not allowed any more have
   * ended when it resolves, and those that are go on. What was changed is over when the sandbox stops; with `persist` it is also what the
   * sandbox begins with when it is started again.
   *
   * @returns what the network is then, with the ports that were chosen
   * @throws InvalidConfigError for what is none, before anything is asked of the sandbox; SandboxNotRunningError; IoError for a port that
   *   cannot be had; UnsupportedOperationError for a sandbox without a network
   *
   * @example
   * ```ts
   * import { Rule, Destination, Sandbox } from "microsandbox";
   *
   * await using sandbox = await Sandbox.builder("update-example").image("localhost/base").replace().create();
   * await sandbox.updateNetwork({ addRules: [Rule.denyEgress(Destination.domain("example.com"))] });
   * const { ports } = await sandbox.updateNetwork({ publish: [{ hostPort: 0, guestPort: 80 }] });
   * console.log(ports[0]?.hostPort);
   * ```
   */
  async updateNetwork(
    changes: NetworkChanges,
    options: NetworkUpdateOptions & WaitOptions = {},
  ): Promise<SandboxNetworkStatus> {
    const change = async (operation: Operation): Promise<SandboxNetworkStatus> => {
      const json = JSON.stringify(checkNetworkChanges(changes));
      requireNetwork(this.control);
      const request = { type: "UpdateNetwork", change: json, persist: options.persist ?? false } as const;
      return statusFrom(await this.control.request(operation, request, "NetworkStatus"));
    };
    return await this.control.run("change the network of sandbox", options, change, networkUpdateOptions);
  }

  /**
   * Changes the sandbox: its secrets, in this version. All of it, or, when it throws, nothing. A value, hosts and a removal are in force at
   * once, for connections that are made from then on; a new secret or another placeholder at the next start, which the policy
   * `next_start` has to say. A stopped sandbox has all of it when it is started, and is not started by this.
   *
   * @returns what was, or with `dryRun` would be, changed: never with a value
   * @throws CustomError for what cannot be done under the policy, InvalidConfigError, UnsupportedOperationError for another field
   *
   * @example
   * ```ts
   * import { Sandbox } from "microsandbox";
   *
   * await using sandbox = await Sandbox.builder("modify-example")
   *   .image("localhost/base")
   *   .secretEnv("API_KEY", "sk-first", "api.example.com")
   *   .replace()
   *   .create();
   * const plan = await sandbox.modify({ secrets: { API_KEY: { value: "sk-second" } } });
   * console.log(plan.changes[0]?.change, plan.changes[0]?.disposition); // rotated live
   * ```
   */
  async modify(options: ModifyOptions & WaitOptions): Promise<SandboxModificationPlan> {
    const change = async (operation: Operation): Promise<SandboxModificationPlan> => {
      const { modifySandbox } = await import("../modify/modify-sandbox.ts");
      return await modifySandbox(operation, this.control, options, this.ownsRun);
    };
    const { timeoutMs, signal } = Object(options) as WaitOptions;
    const wait = {
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
      ...(signal === undefined ? {} : { signal }),
    };
    return await this.control.run("modify sandbox", wait, change);
  }

  /**
   * The variables of its secrets that have no value on this host: `start({ secrets })` has to give them. Those that a function fetches are
   * always among them.
   */
  async missingSecrets(options: WaitOptions = {}): Promise<readonly string[]> {
    const look = async (): Promise<readonly string[]> => {
      const { record, paths } = await this.control.find();
      const secrets = record.config.network?.secrets ?? [];
      return secrets.length === 0 ? [] : missingSecrets(secrets, await readSecretFile(paths.secrets));
    };
    return await this.control.run("look up the secrets of sandbox", options, (operation) =>
      operation.wait(look()),
    );
  }

  /** Whether the sandbox ends with this program. */
  protected get ownsRun(): boolean {
    return false;
  }

  /**
   * The least set of rules that allows what was let through, from all runs that are still logged; everything else that the guest might
   * send is denied. Let the sandbox do its work with `observe()`, which allows everything, and look through what is suggested: what
   * was not used then is denied later.
   *
   * @param options `mergeNamesFrom`: so many names below one parent become all names below it; by default none do
   * @throws UnsupportedOperationError for a sandbox without a network
   *
   * @example
   * ```ts
   * import { Sandbox } from "microsandbox";
   *
   * await using sandbox = await Sandbox.builder("suggest-example").image("localhost/base").replace().create();
   * await sandbox.exec("nslookup", ["example.com"]);
   * const policy = await sandbox.suggestPolicy();
   * console.log(policy.defaultEgress, policy.rules.length); // deny, and a rule for each name that was used
   * ```
   */
  async suggestPolicy(options: SuggestPolicyOptions & WaitOptions = {}): Promise<NetworkPolicy> {
    const suggest = async (operation: Operation): Promise<NetworkPolicy> => {
      const { since, mergeNamesFrom } = options;
      const events: NetworkLogEvent[] = [];
      const wanted = since === undefined ? {} : { since };
      for await (const event of networkEvents(this.control, wanted, operation)) {
        // Nothing is learned of an end.
        if (event.kind !== "flow-closed") events.push(event);
      }
      const { suggestPolicy } = await import("../../network/suggestion/suggest-policy.ts");
      return suggestPolicy(events, mergeNamesFrom === undefined ? {} : { mergeNamesFrom });
    };
    return await this.control.run("suggest a policy for sandbox", options, suggest, suggestOptions);
  }

  /**
   * Resolves when a program in the guest accepts TCP connections to a port. One is made for it, and closed at once.
   *
   * @param options `timeoutMs` is 60,000 if it is not given
   * @throws OperationTimeoutError; SandboxNotRunningError when the sandbox ends; UnsupportedOperationError for one without a network
   *
   * @example
   * ```ts
   * import { Sandbox } from "microsandbox";
   *
   * await using sandbox = await Sandbox.builder("port-example").image("localhost/base").replace().create();
   * const server = await sandbox.execStream("nc", ["-ll", "-p", "8000", "-e", "echo", "hello"]);
   * await sandbox.waitForPort(8000);
   * await server.kill();
   * ```
   */
  async waitForPort(port: number, options: WaitOptions = {}): Promise<void> {
    const limited = { timeoutMs: portMs, ...options };
    await this.control.run(`wait for port ${String(port)} of sandbox`, limited, (operation) =>
      waitForGuestPort(this.control, port, operation),
    );
  }
}
