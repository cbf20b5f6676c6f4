import type { IpAddress } from "../../../host/ip/address.ts";
import type { FlowClosed } from "../../events.ts";
import type { Evidence, Verdict } from "../../policy/verdict.ts";
import type { Refusal, TcpConnection, TcpHandler, TcpRequest } from "../../tcp/connection.ts";
import { alertRecord, alerts } from "../../tls/alert.ts";
import type { FlowLog, Flow } from "../flow-log.ts";
import type { Gatekeeper } from "../gatekeeper.ts";
import type { Slabs } from "../slabs.ts";
import { reasonOf, type Dial, type Dialed, type Target } from "./dial.ts";
import { Joint } from "./joint.ts";
import { ConnectionStream } from "./connection-stream.ts";
import { FirstFlight, type Said } from "./first-flight.ts";
import type { Reading, ReadingRules } from "./reading.ts";
import { ServerNameTap } from "./server-name-tap.ts";

/** Programs that wait for their server to speak first lose as much time, once. */
const waitMs = 5000;
/** Where nobody but a TLS client is waited for. */
const helloMs = 10_000;

export interface OutboundFlowOptions {
  readonly gatekeeper: Gatekeeper;
  readonly log: FlowLog;
  readonly slabs: Slabs;
  /** For addresses outside: directly, or by a proxy. */
  readonly dial: Dial;
  /** For the host itself: never by a proxy. */
  readonly dialHost: Dial;
  readonly reading: Reading;
  /** What is allowed because of a name has to be read, and has to prove that name. */
  readonly isStrict: boolean;
}

/** A connection of the guest to the outside: from its SYN on. */
export class OutboundFlow {
  readonly #request: TcpRequest;
  readonly #address: IpAddress;
  readonly #options: OutboundFlowOptions;
  readonly #over: () => void;
  /** As they were when it began. */
  readonly #rules: ReadingRules | null;
  readonly #isIntercepted: boolean;
  #connection: TcpConnection | null = null;
  #flow: Flow | null = null;
  #firstFlight: FirstFlight | null = null;
  #giveUp: (() => void) | null = null;
  /** What the connection has become. */
  #joint: { abort(): void } | null = null;
  #isEnding = false;

  /** @param over called once, when it does not count any more */
  constructor(request: TcpRequest, address: IpAddress, options: OutboundFlowOptions, over: () => void) {
    this.#request = request;
    this.#address = address;
    this.#options = options;
    this.#over = over;
    this.#rules = options.reading.rules;
    this.#isIntercepted = this.#rules?.isIntercepted(request.remote.port) === true;
  }

  begin(verdict: Verdict): void {
    this.#request.onAbandoned(() => this.end("closed"));
    if (this.#isIntercepted) this.#listen(helloMs);
    else if (verdict.action === "allow") this.#pass(verdict, null);
    else this.#listen(waitMs);
  }

  /**
   * Breaks it off, whatever it is about.
   *
   * @param refusal what the guest is told that waits for its SYN to be answered
   */
  end(reason: FlowClosed["reason"], refusal: Refusal = "reset"): void {
    if (this.#isEnding) return;
    this.#isEnding = true;
    this.#giveUp?.();
    this.#firstFlight?.cancel();
    if (this.#connection === null) this.#request.refuse(refusal);
    else if (this.#joint === null) this.#connection.reset();
    else this.#joint.abort();
    this.#closed(reason);
  }

  /** A rule is about a name, or TLS is to be read: the guest speaks first, to nobody yet. */
  #listen(ms: number): void {
    const first = new FirstFlight(
      {
        said: (what) => {
          if (this.#isIntercepted) this.#readTls(what);
          else this.#decide(what);
        },
        saidLate: (what) => this.#decideLate(what),
        closed: (how) => this.end(how),
      },
      ms,
    );
    this.#firstFlight = first;
    this.#connection = this.#request.accept(first);
  }

  #decide(said: Said): void {
    const sni = nameOf(said);
    const verdict = this.#ask(sni);
    if (verdict.action === "allow" && said.kind !== "garbled") this.#pass(verdict, said);
    else this.#deny(verdict, sni);
  }

  /** It was let through by what DNS has told, and now says a name itself. */
  #decideLate(said: Said): boolean {
    if (this.#isEnding) return false;
    const sni = nameOf(said);
    if (said.kind !== "garbled" && sni === null) return true;
    const { gatekeeper } = this.#options;
    const verdict = this.#ask(sni);
    if (verdict.action === "allow" && sni !== null) {
      if (this.#flow !== null) this.#flow.grounds = gatekeeper.grounds(this.#subject(), verdict, sni);
      return true;
    }
    this.#deny(verdict, sni);
    return false;
  }

  /** On an intercepted port nothing but TLS with a name passes. */
  #readTls(said: Said): void {
    const sni = nameOf(said);
    if (said.kind !== "hello" || sni === null) {
      this.#refuseTls(said);
      return;
    }
    const verdict = this.#ask(sni);
    if (verdict.action !== "allow") this.#deny(verdict, sni);
    else if (this.#rules === null || this.#isBypassed(this.#rules, sni)) this.#pass(verdict, said);
    else this.#join(this.#open(verdict, sni), this.#rules, false).intercept({ ...said.hello, name: sni });
  }

  #isBypassed(rules: ReadingRules, sni: string): boolean {
    return rules.isBypassed(sni, this.#options.gatekeeper.namesOf(this.#address));
  }

  #refuseTls(said: Said): void {
    const { reading } = this.#options;
    const { address, port } = this.#subject();
    reading.event({
      kind: "tls-failed",
      timestampMs: Date.now(),
      address: address.toString(),
      port,
      name: null,
      side: "guest",
      reason: whyRefused(said),
    });
    const connection = this.#connection;
    if (said.kind === "hello" && connection !== null) {
      const stream = new ConnectionStream(this.#options.slabs);
      stream.connection = connection;
      this.#joint = { abort: () => stream.breakOff() };
      if (this.#firstFlight !== null) this.#firstFlight.next = stream.handler;
      stream.once("close", () => this.#ended("refused"));
      stream.linger();
      stream.resume().end(alertRecord(alerts.unrecognizedName));
    } else this.end("refused");
  }

  #ask(sni: string | null): Verdict {
    const evidence: Evidence = sni === null ? { kind: "bindings" } : { kind: "sni", name: sni };
    return this.#options.gatekeeper.egress(this.#subject(), evidence);
  }

  #deny(verdict: Verdict, sni: string | null): void {
    this.#options.log.deny(this.#subject(), { ...verdict, name: verdict.name ?? sni }, "policy");
    this.end("policy");
  }

  #open(verdict: Verdict, sni: string | null): Flow {
    const { gatekeeper, log } = this.#options;
    const subject = this.#subject();
    const grounds = gatekeeper.grounds(subject, verdict, sni);
    this.#flow = log.open(subject, grounds, () => this.end("policy"));
    return this.#flow;
  }

  /**
   * It may go out, and is not TLS that is intercepted.
   *
   * @param said null: the guest was not heard yet
   */
  #pass(verdict: Verdict, said: Said | null): void {
    const sni = said === null ? null : nameOf(said);
    const rules = this.#rules;
    const hasToProve = this.#options.isStrict && verdict.name !== null;
    // Nobody can read whether what else there is is for whom it says.
    if (hasToProve && (said?.kind !== "other" || rules === null)) {
      this.#deny(verdict, sni);
      return;
    }
    const isLookedAt = said?.kind !== "hello" && (hasToProve || rules?.looksAtPlain === true);
    const joint = this.#join(this.#open(verdict, sni), isLookedAt ? rules : null, hasToProve);
    // The guest's SYN is answered by what becomes of it, unless it had to be answered before.
    this.#dial((dialed) => {
      if (!("failure" in dialed)) {
        joint.pass(dialed);
        return;
      }
      const { failure } = dialed;
      const isNoRoute = failure === "host-unreachable" || failure === "network-unreachable";
      this.end(reasonOf(failure), isNoRoute ? failure : "reset");
    });
  }

  /** While the network is observed, the name that TLS says is noted: DNS may not have told it, or several. */
  #noting(next: TcpHandler): TcpHandler {
    const { gatekeeper } = this.#options;
    if (!gatekeeper.isObserving) return next;
    return new ServerNameTap(next, (name) => {
      const flow = this.#flow;
      if (flow !== null) flow.grounds = gatekeeper.grounds(this.#subject(), flow.grounds.verdict, name);
    });
  }

  #join(flow: Flow, rules: ReadingRules | null, hasToProve: boolean): Joint {
    const { slabs, reading, gatekeeper } = this.#options;
    const subject = this.#subject();
    const names = gatekeeper.namesOf(subject.address);
    const joint = new Joint({
      slabs,
      reading,
      gatekeeper,
      flow,
      rules,
      names,
      accept: (handler) => {
        this.#connection ??= this.#request.accept(this.#noting(handler));
        return this.#connection;
      },
      handOver: (handler) => {
        if (this.#firstFlight !== null) this.#firstFlight.next = handler;
      },
      dial: (done) => this.#dial(done),
      isHostAllowed: hasToProve
        ? (host) => gatekeeper.egress(subject, { kind: "sni", name: host, names }).action === "allow"
        : null,
      unproved: () => this.#deny(flow.grounds.verdict, null),
      ended: (reason) => this.#ended(reason),
    });
    this.#joint = {
      abort: () => {
        joint.abort();
        this.#connection?.reset();
      },
    };
    return joint;
  }

  /** @returns gives it up */
  #dial(done: (dialed: Dialed) => void): () => void {
    const { gatekeeper, dial, dialHost } = this.#options;
    const { port } = this.#subject();
    const isHost = gatekeeper.isGateway(this.#address);
    const targets = isHost ? loopback(this.#address, port) : [target(this.#address, port)];
    const giveUp = (isHost ? dialHost : dial)(targets, (dialed) => {
      this.#giveUp = null;
      done(dialed);
    });
    this.#giveUp = giveUp;
    return giveUp;
  }

  /** Neither side has anything left. */
  #ended(reason: FlowClosed["reason"]): void {
    if (this.#isEnding) return;
    this.#isEnding = true;
    this.#giveUp?.();
    this.#firstFlight?.cancel();
    this.#closed(reason);
  }

  #closed(reason: FlowClosed["reason"]): void {
    this.#over();
    this.#flow?.closed(reason);
  }

  #subject(): { direction: "egress"; protocol: "tcp"; address: IpAddress; port: number } {
    return { direction: "egress", protocol: "tcp", address: this.#address, port: this.#request.remote.port };
  }
}

function nameOf(said: Said): string | null {
  return said.kind === "hello" ? said.hello.name : null;
}

function whyRefused(said: Said): string {
  switch (said.kind) {
    case "hello":
      return "no server name";
    case "silence":
      return "no ClientHello in time";
    case "other":
      return "no TLS";
    case "garbled":
      return said.reason;
  }
}

function target(address: IpAddress, port: number): Target {
  return { host: address.toString(), family: address.family, port };
}

/** The host itself, first by the family that the guest took. */
function loopback({ family }: IpAddress, port: number): readonly Target[] {
  const four: Target = { host: "127.0.0.1", family: 4, port };
  const six: Target = { host: "::1", family: 6, port };
  return family === 4 ? [four, six] : [six, four];
}
