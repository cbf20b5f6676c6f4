import type { IpAddress } from "../../../host/ip/address.ts";
import { addressOf, type Answer, type AnswerRecord } from "../message/answer.ts";
import { types } from "../message/codes.ts";
import type { KeptRecord } from "../message/rewrite.ts";
import { stripServiceParameters } from "./service-parameters.ts";

export interface AnswerFilter {
  isAddressKept(address: IpAddress): boolean;
  readonly isEchStripped: boolean;
}

export interface FilteredAnswer {
  readonly kept: readonly KeptRecord[];
  /** Whether anything was taken out or changed at all. */
  readonly isChanged: boolean;
  readonly addressesRemoved: number;
}

/**
 * Takes out of an answer, of each of its sections, the addresses that are not kept and those in service parameters, and every signature
 * over records that are not whole any more: it would prove nothing (RFC 4035, 5.3.2).
 */
export function filterAnswer({ message, records }: Answer, filter: AnswerFilter): FilteredAnswer {
  const touched = new Set<string>();
  let addressesRemoved = 0;
  const kept: KeptRecord[] = [];
  for (const record of records) {
    const address = addressOf(message, record);
    if (address !== null && !filter.isAddressKept(address)) {
      addressesRemoved++;
      touched.add(setOf(record, record.type));
    } else if (record.type === types.HTTPS || record.type === types.SVCB) {
      const data = message.subarray(record.dataAt, record.end);
      const stripped = stripServiceParameters(data, filter.isEchStripped);
      if (stripped.isChanged) touched.add(setOf(record, record.type));
      if (stripped.data !== null) kept.push({ record, data: stripped.isChanged ? stripped.data : null });
    } else kept.push({ record, data: null });
  }
  if (touched.size === 0) return { kept, isChanged: false, addressesRemoved };
  const isCovered = ({ record }: KeptRecord): boolean =>
    record.type === types.RRSIG &&
    record.end - record.dataAt >= 2 &&
    touched.has(setOf(record, message.readUInt16BE(record.dataAt)));
  return { kept: kept.filter((entry) => !isCovered(entry)), isChanged: true, addressesRemoved };
}

function setOf({ name }: AnswerRecord, type: number): string {
  return `${type} ${name.key}`;
}
