import type { SecretConfig } from "../../config/network/interception/secret-type.ts";
import type { NetworkEvent, SecretProblem } from "../events.ts";
import type { Channel } from "../http/channel.ts";
import { Blocked } from "../http/inspector.ts";
import type { Offence, Subject } from "./exchange.ts";
import { isStricter } from "./standing.ts";

/** Tells what secrets have stopped. */
export class Reporter {
  readonly #channel: Channel;
  readonly #emit: (event: NetworkEvent) => void;
  readonly #terminate: (reason: string) => void;

  constructor(channel: Channel, emit: (event: NetworkEvent) => void, terminate: (reason: string) => void) {
    this.#channel = channel;
    this.#emit = emit;
    this.#terminate = terminate;
  }

  /** Tells the worst of them. */
  offences(offences: readonly [Offence, ...Offence[]], { protocol, host, method, path }: Subject): Blocked {
    const worst = offences.reduce((a, b) => (isStricter(b.action, a.action) ? b : a));
    const { secret, action, location, form } = worst;
    const { address, port, serverName } = this.#channel;
    const { envVar, placeholder } = secret;
    const message = `the placeholder of ${envVar} was on its way to ${host ?? serverName ?? address}`;
    if (action !== "block")
      this.#emit({
        kind: "secret-violation",
        timestampMs: Date.now(),
        ...{ address, port, action, envVar, placeholder, protocol, serverName },
        ...{ host, method, path, location, form },
      });
    if (action === "block-and-terminate") this.#terminate(message);
    return new Blocked(message);
  }

  /** The request is stopped. */
  stopped(
    secret: SecretConfig,
    subject: Subject,
    problem: SecretProblem["problem"],
    reason: string,
  ): Blocked {
    this.problem(secret, subject, problem, reason);
    return new Blocked(`${secret.envVar}: ${reason}`);
  }

  withoutValue(secret: SecretConfig, subject: Subject): Blocked {
    return this.stopped(secret, subject, "no-value", "there is no value for it now");
  }

  problem(
    { envVar }: SecretConfig,
    { host, method, path }: Subject,
    problem: SecretProblem["problem"],
    reason: string,
  ): void {
    const { address, port } = this.#channel;
    this.#emit({
      kind: "secret-problem",
      timestampMs: Date.now(),
      ...{ address, port, envVar, host, method, path, problem, reason },
    });
  }
}
