import {
  MAX_RECORD,
  RECORD_DATA,
  RECORD_ENTRY,
  RECORD_HOLE,
  RECORD_LINK,
  RECORD_PROBLEM,
} from "./generated/limits.ts";
import {
  readFileProblem,
  readTreeEntry,
  writeFileProblem,
  writeTreeEntry,
  type FileProblem,
  type TreeEntry,
} from "./generated/messages.ts";
import { violation } from "./violation.ts";
import { WireReader, WireWriter } from "./wire.ts";

/** A part of a tree in transit, as `schema/files.ts` describes it. What follows an entry of a file is its content. */
export type TreeRecord =
  | { readonly type: "entry"; readonly entry: TreeEntry }
  | { readonly type: "data"; readonly bytes: Buffer }
  | { readonly type: "hole"; readonly length: number }
  /** voids: the file before could not be read to its end, and what came of it is not to be kept. */
  | { readonly type: "problem"; readonly problem: FileProblem; readonly voids: boolean };

const lengthBytes = 4;
const none = Buffer.alloc(0);

/**
 * Takes records from bytes as they arrive, in whatever pieces. Whoever sends them is not trusted: what is no record, or does not
 * add up to the size that its file has, is a ProtocolError.
 */
export class TreeRecordReader {
  /** The beginning of a record that is not whole. */
  #partial: Buffer = none;
  /** Bytes of data that are to come before the next record. */
  #data = 0;
  /** Bytes of the last file that are to come, as data or holes. */
  #file = 0;
  readonly #contents: boolean;

  /** @param contents whether files come with what is in them */
  constructor(contents = true) {
    this.#contents = contents;
  }

  /** The records that are whole now, and the data that is there: a view of the chunk, which no other record is. @throws ProtocolError */
  *push(chunk: Buffer): Generator<TreeRecord, void, undefined> {
    let bytes = this.#partial.length === 0 ? chunk : Buffer.concat([this.#partial, chunk]);
    this.#partial = none;
    while (bytes.length > 0) {
      if (this.#data > 0) {
        const part = bytes.subarray(0, this.#data);
        this.#data -= part.length;
        bytes = bytes.subarray(part.length);
        yield { type: "data", bytes: part };
        continue;
      }
      const end = bytes.length < lengthBytes ? Infinity : lengthBytes + recordLength(bytes);
      if (end > bytes.length) {
        // A copy: the rest of the chunk is not to be kept for its sake.
        this.#partial = Buffer.from(bytes);
        return;
      }
      const record = this.#record(Buffer.from(bytes.subarray(lengthBytes, end)));
      bytes = bytes.subarray(end);
      if (record !== null) yield record;
    }
  }

  /** Nothing more comes. @throws ProtocolError when something is missing */
  end(): void {
    if (this.#partial.length > 0 || this.#data > 0 || this.#file > 0)
      throw violation("the tree ends in the middle of an entry");
  }

  /** null for data, whose bytes follow. */
  #record(bytes: Buffer): TreeRecord | null {
    const reader = new WireReader(bytes);
    const kind = reader.u8();
    reader.message = `record ${kind}`;
    if (this.#file > 0 && kind === RECORD_ENTRY)
      throw violation(`a file of the tree lacks ${this.#file} bytes`);
    switch (kind) {
      case RECORD_ENTRY: {
        const entry = readTreeEntry(reader);
        reader.end();
        if (this.#contents && entry.kind === "file") this.#file = entry.size;
        return { type: "entry", entry };
      }
      case RECORD_PROBLEM: {
        const problem = readFileProblem(reader);
        reader.end();
        const voids = this.#file > 0;
        this.#file = 0;
        return { type: "problem", problem, voids };
      }
      case RECORD_DATA:
      case RECORD_HOLE: {
        const length = reader.u53();
        reader.end();
        if (length === 0 || length > this.#file)
          throw violation(`${length} bytes of a file of the tree that has ${this.#file}`);
        this.#file -= length;
        if (kind === RECORD_HOLE) return { type: "hole", length };
        this.#data = length;
        return null;
      }
      default:
        throw violation(`unknown record ${kind} of a tree`);
    }
  }
}

function recordLength(bytes: Buffer): number {
  const length = bytes.readUInt32BE(0);
  if (length === 0 || length > MAX_RECORD) throw violation(`a record of a tree has ${length} bytes`);
  return length;
}

export function encodeEntry(entry: TreeEntry): Buffer {
  return record(RECORD_ENTRY, (writer) => {
    writeTreeEntry(writer, entry);
  });
}

export function encodeProblem(problem: FileProblem): Buffer {
  return record(RECORD_PROBLEM, (writer) => {
    writeFileProblem(writer, problem);
  });
}

/** What comes before so many bytes of data. */
export function encodeData(length: number): Buffer {
  return record(RECORD_DATA, (writer) => {
    writer.u53(length);
  });
}

export function encodeHole(length: number): Buffer {
  return record(RECORD_HOLE, (writer) => {
    writer.u53(length);
  });
}

/** A further name of a file that came before; for the guest only. */
export function encodeLink(path: Uint8Array, target: Uint8Array): Buffer {
  return record(RECORD_LINK, (writer) => {
    writer.bytes(path);
    writer.bytes(target);
  });
}

function record(kind: number, fields: (writer: WireWriter) => void): Buffer {
  const writer = new WireWriter("record");
  writer.u32(0);
  writer.u8(kind);
  fields(writer);
  const bytes = writer.finish();
  bytes.writeUInt32BE(bytes.length - lengthBytes, 0);
  return bytes;
}
