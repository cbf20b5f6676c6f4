import { IpAddress } from "../../../host/ip/address.ts";
import type { FlowClosed } from "../../events.ts";
import type { Start } from "../../http/start.ts";
import type { NamedHello } from "../../interception/read-tls.ts";
import type { TcpConnection, TcpHandler } from "../../tcp/connection.ts";
import type { Flow } from "../flow-log.ts";
import type { Gatekeeper } from "../gatekeeper.ts";
import type { Slabs } from "../slabs.ts";
import type { Dialed } from "./dial.ts";
import { HostStream } from "./host-stream.ts";
import { PlainStart } from "./plain-start.ts";
import { ReadConnection } from "./read-connection.ts";
import type { Reading, ReadingRules } from "./reading.ts";
import { Splice } from "./splice.ts";

type Connected = Exclude<Dialed, { failure: unknown }>;

export interface JointOptions {
  readonly slabs: Slabs;
  readonly reading: Reading;
  readonly gatekeeper: Gatekeeper;
  readonly flow: Flow;
  /** null: it is passed on as it is. */
  readonly rules: ReadingRules | null;
  /** Names that stand for the address, as it begins. */
  readonly names: readonly string[];
  /** Answers the guest's SYN, unless it was answered before. */
  readonly accept: (handler: TcpHandler) => TcpConnection;
  /** What was heard of the guest before, and all that comes, goes there. */
  readonly handOver: (handler: TcpHandler) => void;
  /** Connects to where the guest wants to. @returns gives it up */
  readonly dial: (done: (dialed: Dialed) => void) => () => void;
  /** Which hosts requests may be for, when they have to prove that; else null. */
  readonly isHostAllowed: ((host: string) => boolean) | null;
  /** It has to prove whom it is for, and cannot. It is to be ended. */
  readonly unproved: () => void;
  /** Called once, when neither side has anything left. */
  readonly ended: (reason: FlowClosed["reason"]) => void;
}

/** What a connection of the guest that was let through becomes: it is spliced with a socket of the host, or read on its way. */
export class Joint {
  readonly #options: JointOptions;
  /** Breaks it off, whatever it has become. */
  #abort: () => void = () => undefined;

  constructor(options: JointOptions) {
    this.#options = options;
  }

  abort(): void {
    this.#abort();
  }

  /** Reads its TLS. Nobody is connected with yet. */
  intercept(hello: NamedHello): void {
    const { accept, handOver } = this.#options;
    const read = this.#read();
    read.connection = accept(read.handler);
    handOver(read.handler);
    read.interceptTls(hello);
  }

  /** Passes it on, or reads what is without TLS. */
  pass(dialed: Connected): void {
    if (this.#options.rules === null) this.#splice(dialed);
    else this.#look(dialed);
  }

  #splice({ socket, early }: Connected): void {
    const { accept, handOver } = this.#options;
    const splice = this.#newSplice();
    splice.connection = accept(splice);
    splice.join(socket, early);
    handOver(splice);
  }

  /** What becomes of it depends on how it begins. */
  #look({ socket, early }: Connected): void {
    const server = new HostStream(socket, early);
    // Whoever takes it listens himself.
    server.on("error", () => undefined);
    const start = new PlainStart(
      (how) => {
        server.off("readable", spoke).off("close", spoke);
        return this.#begin(how, server, connection);
      },
      (how) => {
        server.destroy();
        this.#options.ended(how);
      },
    );
    const spoke = (): void => start.serverSpoke();
    this.#abort = () => {
      start.cancel();
      server.destroy();
    };
    const connection = this.#options.accept(start);
    server.on("readable", spoke).on("close", spoke);
    this.#options.handOver(start);
  }

  /** @returns who takes what the guest says; null: it is over */
  #begin(how: Start, server: HostStream, connection: TcpConnection): TcpHandler | null {
    const { rules, isHostAllowed, unproved } = this.#options;
    if (isHostAllowed !== null && how !== "other") {
      unproved();
      return null;
    }
    const isRead =
      how === "connect" || (how === "other" && (isHostAllowed !== null || rules?.inspectsPlain === true));
    const released = isRead ? null : server.release();
    if (released !== null) {
      const splice = this.#newSplice();
      splice.connection = connection;
      splice.join(released.socket, released.early);
      return splice;
    }
    const read = this.#read();
    read.connection = connection;
    if (!isRead) read.passOn(server);
    else if (how === "connect") read.readTunnel(server);
    else read.readPlain(server, isHostAllowed);
    return read.handler;
  }

  #newSplice(): Splice {
    const { slabs, flow, ended } = this.#options;
    const splice = new Splice(slabs, ended);
    splice.flow = flow;
    this.#abort = () => splice.abort("reset");
    return splice;
  }

  #read(): ReadConnection {
    const { slabs, reading, rules, names, gatekeeper, flow, dial, ended } = this.#options;
    if (rules === null) throw new TypeError("nothing of this connection is read");
    const read = new ReadConnection({
      slabs,
      flow,
      reading,
      interception: rules.interception,
      dial,
      names,
      namesOf: (address) => {
        const parsed = IpAddress.parse(address);
        return parsed === null ? [] : gatekeeper.namesOf(parsed);
      },
      over: ended,
    });
    this.#abort = () => read.abort();
    return read;
  }
}
