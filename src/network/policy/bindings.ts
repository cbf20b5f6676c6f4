import type { Family, IpAddress } from "../../host/ip/address.ts";

/** What DNS has told this guest: which names stand for which addresses, each for its own time. */
export interface Bindings {
  /**
   * Notes an answer. An address stays until its own time is over, also when a later answer lacks it.
   *
   * @param name that was asked, in lower case
   */
  bind(name: string, addresses: readonly IpAddress[], ttlSeconds: number): void;
  /** The answer was no address: the name stands for none of that family any more. */
  clear(name: string, family: Family): void;
  /**
   * Names that stand for an address now, the one that was answered last first; a mapped one is looked up as the IPv4 address in it.
   *
   * @returns a list that never changes: when the names do, there is another one
   */
  namesOf(address: IpAddress): readonly string[];
}
