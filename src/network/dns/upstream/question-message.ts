import { largestUdp, optRecord, smallestUdp } from "../message/response.ts";
import { headerBytes } from "../message/name.ts";
import type { Query } from "../message/query.ts";

/** What is asked of a server. */
export interface UpstreamQuestion {
  /** The name, type and class as the guest wrote them: a server repeats them, the letter's case too. */
  readonly question: Buffer;
  readonly isRecursionDesired: boolean;
  readonly isCheckingDisabled: boolean;
  readonly isAuthenticDataWanted: boolean;
  readonly edns: Query["edns"];
}

/** The most that an answer by UDP may have, in bytes, for whoever asked so. */
export function udpLimit(edns: Query["edns"]): number {
  return edns === null ? smallestUdp : Math.min(Math.max(edns.udpSize, smallestUdp), largestUdp);
}

/**
 * Made anew from what was understood: nothing else of what a guest wrote leaves the host. EDNS's options are left out; they are between
 * neighbours (RFC 6891, 6.1.1: not to be forwarded).
 */
export function questionMessage(
  { question, isRecursionDesired, isCheckingDisabled, isAuthenticDataWanted, edns }: UpstreamQuestion,
  id: number,
): Buffer {
  const header = Buffer.alloc(headerBytes);
  header.writeUInt16BE(id, 0);
  header.writeUInt16BE(
    (isRecursionDesired ? 0x0100 : 0) |
      (isAuthenticDataWanted ? 0x0020 : 0) |
      (isCheckingDisabled ? 0x0010 : 0),
    2,
  );
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(edns === null ? 0 : 1, 10);
  const parts = [header, question];
  if (edns !== null) parts.push(optRecord(0, edns.isDnssecOk, undefined, udpLimit(edns)));
  return Buffer.concat(parts);
}
