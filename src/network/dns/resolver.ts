import type { IpAddress } from "../../host/ip/address.ts";

export interface DnsQuestion {
  /** As the guest sent it, without a length before it. */
  readonly message: Buffer;
  readonly transport: "udp" | "tcp";
  /** Where the guest sent it. */
  readonly resolver: IpAddress;
}

/** Answers what the guest asks. */
export interface DnsResolver {
  /** @returns the answer, which fits what the guest takes; null for what is no question, and gets none */
  answer(question: DnsQuestion, signal: AbortSignal): Promise<Buffer | null>;
  close(): void;
}
