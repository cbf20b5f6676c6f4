/** Keys of parameters (RFC 9460, 14.3.2; RFC 9848 for `ech`). */
const mandatoryKey = 0;
const ipv4HintKey = 4;
const echKey = 5;
const ipv6HintKey = 6;

export interface StrippedParameters {
  /** null: the record says that it cannot be used without what was taken out, or is not well-formed, and has to go. */
  readonly data: Buffer | null;
  readonly isChanged: boolean;
}

/**
 * Takes the addresses out of an HTTPS or SVCB record. They would be a way round what is done with A and AAAA records: no name is bound
 * to them, and nobody looks whether they are private. Whoever reads the record asks for the addresses as well (RFC 9460, 3).
 *
 * @param isEchStripped also the keys with which a client hides the name that it connects to: a rule about names could not see it
 */
export function stripServiceParameters(data: Buffer, isEchStripped: boolean): StrippedParameters {
  const gone = { data: null, isChanged: true };
  const parametersAt = behindTarget(data);
  if (parametersAt === null) return gone;
  const isStripped = (key: number): boolean =>
    key === ipv4HintKey || key === ipv6HintKey || (key === echKey && isEchStripped);
  const parts = [data.subarray(0, parametersAt)];
  let isChanged = false;
  let at = parametersAt;
  while (at < data.length) {
    if (at + 4 > data.length) return gone;
    const key = data.readUInt16BE(at);
    const end = at + 4 + data.readUInt16BE(at + 2);
    if (end > data.length) return gone;
    if (key === mandatoryKey)
      for (let listed = at + 4; listed + 2 <= end; listed += 2)
        if (isStripped(data.readUInt16BE(listed))) return gone;
    if (isStripped(key)) isChanged = true;
    else parts.push(data.subarray(at, end));
    at = end;
  }
  return { data: Buffer.concat(parts), isChanged };
}

/** Its priority, and a name that is never compressed (RFC 9460, 2.2). */
function behindTarget(data: Buffer): number | null {
  let at = 2;
  for (;;) {
    const length = data[at];
    if (length === undefined || length > 63) return null;
    at += 1 + length;
    if (length === 0) return at <= data.length ? at : null;
  }
}
