/** Tar archives made byte by byte, so that a test can make wrong ones. */

export interface TarFields {
  readonly name: string;
  /** A type flag; a file when left out. */
  readonly type?: string;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly mtime?: number;
  readonly data?: Uint8Array | string;
  /** What the header says, when it is not the length of the data. */
  readonly size?: number;
  readonly link?: string;
  readonly major?: number;
  readonly minor?: number;
  /** Changes the finished header before its checksum is made. */
  readonly edit?: (header: Buffer) => void;
  /** Leaves the checksum wrong. */
  readonly badChecksum?: boolean;
}

export function tarEntry(fields: TarFields): Buffer {
  const data = Buffer.from(fields.data ?? "");
  const header = Buffer.alloc(512);
  header.write(fields.name, 0, 100, "latin1");
  const octal = (value: number, at: number, width: number): void => {
    header.write(`${value.toString(8).padStart(width - 1, "0")}\0`, at, "latin1");
  };
  octal(fields.mode ?? (fields.type === "5" ? 0o755 : 0o644), 100, 8);
  octal(fields.uid ?? 0, 108, 8);
  octal(fields.gid ?? 0, 116, 8);
  octal(fields.size ?? data.length, 124, 12);
  octal(fields.mtime ?? 0, 136, 12);
  header.write(fields.type ?? "0", 156, 1, "latin1");
  header.write(fields.link ?? "", 157, 100, "latin1");
  header.write("ustar\x0000", 257, "latin1");
  octal(fields.major ?? 0, 329, 8);
  octal(fields.minor ?? 0, 337, 8);
  fields.edit?.(header);
  header.fill(0x20, 148, 156);
  const sum = header.reduce((total, byte) => total + byte, fields.badChecksum === true ? 1 : 0);
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return Buffer.concat([header, padded(data)]);
}

/** An extended header for the entry that follows; `type` "g" for all that follow. */
export function pax(records: Readonly<Record<string, string>>, type = "x"): Buffer {
  const lines = Object.entries(records).map(([key, value]) => paxRecord(key, value));
  return tarEntry({ name: "pax", type, data: Buffer.from(lines.join(""), "latin1") });
}

/** One record, whose length counts itself. */
export function paxRecord(key: string, value: string): string {
  const rest = ` ${key}=${value}\n`;
  let length = rest.length;
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
  return `${length}${rest}`;
}

/** Entries and the two zero blocks of the end. */
export function archive(...entries: readonly Uint8Array[]): Buffer {
  return Buffer.concat([...entries, Buffer.alloc(1024)]);
}

function padded(data: Buffer): Buffer {
  return Buffer.concat([data, Buffer.alloc(-data.length & 511)]);
}
