import type { LinkAddresses } from "../../config/network/link-addresses.ts";
import type { NetworkConfig } from "../../config/network/network-type.ts";
import type { IpAddress } from "../../host/ip/address.ts";
import type { DnsAnswered } from "../events.ts";
import type { Bindings } from "../policy/bindings.ts";
import type { PolicyEngine } from "../policy/verdict.ts";

export interface DnsQuestion {
  /** As the guest sent it, without a length before it. */
  readonly message: Buffer;
  readonly transport: "udp" | "tcp";
  /** Where the guest sent it. */
  readonly resolver: IpAddress;
}

/** Answers what the guest asks. */
export interface DnsResolver {
  /**
   * Never throws, whatever the question: when the signal is aborted there is no answer either.
   *
   * @returns the answer, which fits what the guest takes; null for what is no question, and gets none
   */
  answer(question: DnsQuestion, signal: AbortSignal): Promise<Buffer | null>;
  close(): void;
}

export interface DnsResolverOptions {
  /** A multi-tenant sandbox has rebinding protection and the host's resolvers, whatever `dns` says. */
  readonly config: Pick<NetworkConfig, "dns" | "deploymentProfile">;
  readonly addresses: Pick<LinkAddresses, "ipv4" | "ipv6">;
  readonly policy: PolicyEngine;
  readonly bindings: Bindings;
  /** Whether names of TLS matter beyond the policy: then no server's key for Encrypted Client Hello is told. */
  readonly readsTls?: () => boolean;
  /** Called with every question that could be read. */
  readonly event: (event: DnsAnswered) => void;
  /** Something for the runtime log. */
  readonly warn: (message: string) => void;
}
