/** Bytes of a name on the wire, and of one of its labels (RFC 1035, 2.3.4). */
export const longestName = 255;
const longestLabel = 63;
/** As many as a name has labels at most: more than one before each label is of no use. */
const mostPointers = 127;

/**
 * A domain name as it is on the wire without compression: labels with their lengths, and the root's empty one. Its labels hold any
 * bytes; upper and lower case are kept.
 */
export class DomainName {
  readonly wire: Buffer;
  #key: string | null = null;

  constructor(wire: Buffer) {
    this.wire = wire;
  }

  /** The same for names that differ in case only (RFC 4343: of ASCII letters). One character for each byte of the wire. */
  get key(): string {
    return (this.#key ??= lowerCase(this.wire).toString("latin1"));
  }

  /** Its labels as they are counted: the root's is none. */
  get labels(): readonly Buffer[] {
    const labels: Buffer[] = [];
    for (let at = 0; at < this.wire.length - 1;) {
      const end = at + 1 + (this.wire[at] ?? 0);
      labels.push(this.wire.subarray(at + 1, end));
      at = end;
    }
    return labels;
  }

  /** Bytes of its text without escapes: 253 at most. */
  get textLength(): number {
    return Math.max(0, this.wire.length - 2);
  }

  /**
   * In lower case, without the dot at the end, and with every byte that could be misread as `\ddd` (RFC 1035, 5.1): each dot in it stands
   * between two labels. Empty for the root.
   */
  get text(): string {
    return this.labels
      .map((label) =>
        lowerCase(label)
          .toString("latin1")
          .replaceAll(/[^!#%&'*+,/0-9:<=>?[\]^_`a-z{|}~-]/g, escaped),
      )
      .join(".");
  }

  /** @param text letters of ASCII only, without escapes */
  static of(text: string): DomainName {
    const labels = text.split(".").filter((label) => label !== "");
    const parts = labels.flatMap((label) => [Buffer.from([label.length]), Buffer.from(label, "latin1")]);
    return new DomainName(Buffer.concat([...parts, Buffer.from([0])]));
  }
}

/**
 * Reads a name that may end in a pointer to one before it (RFC 1035, 4.1.4). Every pointer leads to before where the labels that end in
 * it begin, so there are no loops.
 *
 * @param mayPoint false: a pointer is an error
 * @param end of the bytes that may belong to it without a pointer
 * @returns the name, and where it ends here; null when it is none
 */
export function readName(
  message: Buffer,
  at: number,
  mayPoint: boolean,
  end = message.length,
): { readonly name: DomainName; readonly end: number } | null {
  const parts: Buffer[] = [];
  let length = 0;
  let start = at;
  let position = at;
  let limit = end;
  let behind = -1;
  for (;;) {
    const head = position < limit ? message[position] : undefined;
    if (head === undefined) return null;
    if (head <= longestLabel) {
      const next = position + 1 + head;
      length += 1 + head;
      if (next > limit || length > longestName) return null;
      if (head === 0) break;
      position = next;
    } else {
      // 01 and 10 are no types of labels that are in use (RFC 6891, 5).
      const low = position + 1 < limit ? message[position + 1] : undefined;
      if (head < 0xc0 || !mayPoint || low === undefined) return null;
      const target = ((head & 0x3f) << 8) | low;
      if (target >= start || target < headerBytes || parts.length === mostPointers) return null;
      parts.push(message.subarray(start, position));
      if (behind < 0) behind = position + 2;
      limit = message.length;
      start = position = target;
    }
  }
  parts.push(message.subarray(start, position + 1));
  return { name: new DomainName(Buffer.concat(parts)), end: behind < 0 ? position + 1 : behind };
}

/** Before them nothing can be a name. */
export const headerBytes = 12;

function lowerCase(bytes: Buffer): Buffer {
  // Lengths of labels are below "A".
  return Buffer.from(bytes.map((byte) => (byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte)));
}

function escaped(character: string): string {
  return `\\${character.charCodeAt(0).toString().padStart(3, "0")}`;
}
