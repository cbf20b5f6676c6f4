import type { Duplex } from "node:stream";
import type { FlowClosed, NetworkEvent } from "../events.ts";
import type { Interception } from "./interception.ts";

/** Connects to where the guest wants to. Called once. */
export type Dial = () => Promise<Dialed>;

/** What became of a connection that was to be made to the outside. */
export type Dialed =
  /** Connected, with half-open ends allowed. */
  { readonly socket: Duplex } | { readonly failure: "refused" | "unreachable" | "timeout" };

/** How a connection ended, as events tell it. */
export type Ending = FlowClosed["reason"];

/** A connection of the guest that is read on its way. */
export interface ReadableConnection {
  /** What the guest says and is told, from the first byte on. It may be destroyed at any time: then all of it is to be given up. */
  readonly guest: Duplex;
  /** Where the guest has connected to. */
  readonly address: string;
  readonly port: number;
  /**
   * Names that stood for that address when the connection began, in lower case; that of the host stands for the gateway's. They count for as
   * long as it lives: clients keep connections longer than resolvers vouch for a name.
   */
  readonly names: readonly string[];
  /** Names that stand for another address now. */
  namesOf(this: void, address: string): readonly string[];
  /** As it was when the connection began. */
  readonly interception: Interception;
  readonly event: (event: NetworkEvent) => void;
  /** Whether the guest is still told what was written last when the stream is destroyed before it was ended. */
  keepLastWords(this: void, isKept: boolean): void;
  /** Nobody but the guest has yet to do something: it is broken off when it takes nothing more for some time. */
  linger(this: void): void;
}

/** Whether DNS has told the guest so of where it has connected to. */
export function bindingsOf({
  names,
}: Pick<ReadableConnection, "names">): (matches: (name: string) => boolean) => boolean {
  return (matches) => names.some(matches);
}
