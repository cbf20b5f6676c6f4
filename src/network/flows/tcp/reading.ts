import type { NetworkEvent } from "../../events.ts";
import { isBypassed } from "../../interception/bypass.ts";
import type { Interception } from "../../interception/interception.ts";
import type * as Readers from "../../interception/readers.ts";

/** Which connections are read, of those that begin now. */
export class ReadingRules {
  readonly interception: Interception;

  constructor(interception: Interception) {
    this.interception = interception;
  }

  /** Whether all that goes to this port by TCP is TLS that is to be read, or refused. */
  isIntercepted(port: number): boolean {
    return this.interception.tls?.interceptedPorts.includes(port) === true;
  }

  /** Whether what goes to this name is passed on as it is, at an address that has these names. */
  isBypassed(name: string, names: readonly string[]): boolean {
    const { tls } = this.interception;
    return tls !== null && isBypassed(tls.bypass, name, names);
  }

  /** Whether UDP to this port is refused. */
  isQuicBlocked(port: number): boolean {
    return this.interception.tls?.blockQuic === true && this.isIntercepted(port);
  }

  /** Whether anything is said about what passes without TLS. */
  get inspectsPlain(): boolean {
    const { secrets, http, hooks } = this.interception;
    return secrets.length > 0 || http !== null || hooks !== null;
  }

  /** Whether the first words of connections without TLS are looked at: a tunnel may have TLS in it. */
  get looksAtPlain(): boolean {
    return this.inspectsPlain || this.interception.tls !== null;
  }
}

/** Who reads connections, and by which rules. Where none is read, nothing is loaded for it. */
export class Reading {
  /** Replaced as a whole: connections keep what they began with. null: nothing is read. */
  rules: ReadingRules | null;
  readonly event: (event: NetworkEvent) => void;
  readonly failed: (error: unknown) => void;
  #readers: Promise<typeof Readers> | null = null;

  /** @param failed is told what no connection should bring about */
  constructor(
    interception: Interception | null,
    event: (event: NetworkEvent) => void,
    failed: (error: unknown) => void,
  ) {
    this.rules = interception === null ? null : new ReadingRules(interception);
    this.event = event;
    this.failed = failed;
  }

  load(): Promise<typeof Readers> {
    return (this.#readers ??= import("../../interception/readers.ts"));
  }
}
