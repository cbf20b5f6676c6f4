import { mkdir, open, writeFile, type FileHandle } from "node:fs/promises";
import { join } from "node:path";
import type { TarEntry } from "../image/tar/entry.ts";
import type { TarVisitor } from "../image/tar/reader.ts";
import type { SparseMap } from "../image/tar/sparse.ts";
import { descriptorName, parseDescriptor, type ReadDescriptor } from "../store/snapshots/descriptor.ts";
import { devicesName, memoryName } from "../store/snapshots/memory-part.ts";
import {
  descriptorEntry,
  devicesEntry,
  imageEntry,
  indexName,
  maximumIndexBytes,
  memoryEntry,
  notOurs,
  parseIndex,
  upperEntry,
  type ArchiveIndex,
} from "./archive-index.ts";

type Step = () => Promise<void>;

/** One file that must come next. */
interface Expected {
  readonly name: string;
  begin(entry: TarEntry): void;
  data(bytes: Buffer): void;
  finish(): void;
}

/**
 * Puts the files of an archive where they belong in a directory. What comes next is known from what came before, and nothing else is
 * taken: no name of the archive becomes a path, and there are no links. The tar reader calls without waiting, so what is to be written is
 * noted, and done by `flush()`.
 */
export class ArchiveReceiver implements TarVisitor {
  readonly #directory: string;
  readonly #expected: Expected[];
  #steps: Step[] = [];
  #current: Expected | null = null;
  #file: PiecedFile | null = null;
  #index: ArchiveIndex | null = null;
  readonly descriptors: ReadDescriptor[] = [];

  /** @param directory of the caller, empty */
  constructor(directory: string) {
    this.#directory = directory;
    this.#expected = [this.#small(indexName, (text) => this.#takeIndex(text))];
  }

  /** Null until it has come. */
  get index(): ArchiveIndex | null {
    return this.#index;
  }

  /** The directory of a snapshot of the archive. */
  snapshot(position: number): string {
    return join(this.#directory, `snapshot-${position}`);
  }

  /** The file of an image of the archive, by the digest of its manifest. */
  image(manifestDigest: string): string {
    const position = this.#index?.images.findIndex((image) => image.manifest_digest === manifestDigest);
    return join(this.#directory, `image-${String(position)}`);
  }

  entry(entry: TarEntry): void {
    this.#current = null;
    if (entry.type === "directory") return;
    const name = entry.name.replace(/^\.\//, "");
    const [next] = this.#expected;
    if (next === undefined || next.name !== name || entry.type !== "file") {
      const found = JSON.stringify(Buffer.from(name, "latin1").toString().slice(0, 200));
      throw notOurs(
        `it has the ${entry.type} ${found} where ${next === undefined ? "its end" : `the file ${next.name}`} should be`,
      );
    }
    this.#expected.shift();
    this.#current = next;
    next.begin(entry);
  }

  data(bytes: Uint8Array): void {
    // They are the reader's again after the call.
    this.#current?.data(Buffer.from(bytes));
  }

  finish(): void {
    this.#current?.finish();
    this.#current = null;
  }

  /** Writes what has come. @throws IoError and the like */
  async flush(): Promise<void> {
    const steps = this.#steps;
    this.#steps = [];
    for (const step of steps) await step();
  }

  /** @throws SnapshotIntegrityError when something is missing */
  end(): ArchiveIndex {
    const [missing] = this.#expected;
    if (missing !== undefined) throw notOurs(`it ends before ${missing.name}`);
    if (this.#index === null) throw notOurs(`it has no ${indexName}`);
    return this.#index;
  }

  async close(): Promise<void> {
    await this.#file?.close();
  }

  #takeIndex(text: string): void {
    const index = parseIndex(text);
    this.#index = index;
    const names = index.snapshots.map(({ name }) => name);
    if (new Set(names).size < names.length) throw notOurs("it has two snapshots of one name");
    const digests = index.images.map(({ manifest_digest: digest }) => digest);
    if (new Set(digests).size < digests.length) throw notOurs("it has an image twice");
    for (const position of names.keys()) {
      this.#expected.push(
        this.#small(descriptorEntry(position), (descriptor) => this.#takeDescriptor(position, descriptor)),
        this.#large(
          upperEntry(position),
          () => this.descriptors[position]?.descriptor.state.upper.size_bytes ?? 0,
          () => join(this.snapshot(position), this.descriptors[position]?.descriptor.state.upper.file ?? ""),
        ),
      );
    }
    for (const [position, { manifest_digest: digest }] of index.images.entries())
      this.#expected.push(
        this.#large(
          imageEntry(position),
          () => null,
          () => this.image(digest),
        ),
      );
  }

  #takeDescriptor(position: number, text: string): void {
    const read = parseDescriptor(text, descriptorEntry(position));
    if (read.digest !== this.#index?.snapshots[position]?.digest)
      throw notOurs(`${descriptorEntry(position)} has another digest than the index says`);
    const child = this.descriptors[position - 1];
    if (child !== undefined && child.descriptor.parent !== read.digest)
      throw notOurs(`${descriptorEntry(position)} is not the parent of the one before it`);
    if (read.descriptor.state.upper.file === descriptorName)
      throw notOurs(`${descriptorEntry(position)} gives its disk its own name`);
    this.descriptors.push(read);
    const { memory } = read.descriptor;
    if (memory !== null) {
      const inPlace = (name: string) => (): string => join(this.snapshot(position), name);
      // After the disk, which comes next.
      this.#expected.splice(
        1,
        0,
        this.#large(memoryEntry(position), () => memory.memory.size_bytes, inPlace(memoryName)),
        this.#large(devicesEntry(position), () => memory.devices.size_bytes, inPlace(devicesName)),
      );
    }
    this.#steps.push(async () => {
      await mkdir(this.snapshot(position), { mode: 0o700 });
      await writeFile(join(this.snapshot(position), descriptorName), text, { mode: 0o600, flag: "wx" });
    });
  }

  #small(name: string, take: (text: string) => void): Expected {
    const parts: Buffer[] = [];
    return {
      name,
      begin: ({ size }) => {
        if (size > maximumIndexBytes) throw notOurs(`${name} is too long`);
      },
      data: (bytes) => parts.push(bytes),
      finish: () => {
        take(Buffer.concat(parts).toString());
      },
    };
  }

  /** @param sizeBytes null: whatever it has */
  #large(name: string, sizeBytes: () => number | null, path: () => string): Expected {
    return {
      name,
      begin: ({ size, sparse }) => {
        const expected = sizeBytes();
        if (expected !== null && expected !== size)
          throw notOurs(`${name} has ${size} bytes instead of ${expected}`);
        this.#steps.push(async () => {
          this.#file = await PiecedFile.create(path(), size, sparse);
        });
      },
      data: (bytes) => this.#steps.push(async () => this.#file?.write(bytes)),
      finish: () =>
        this.#steps.push(async () => {
          await this.#file?.close();
          this.#file = null;
        }),
    };
  }
}

/** A file that is written piece by piece; what lies between stays a hole. */
class PiecedFile {
  readonly #file: FileHandle;
  readonly #map: SparseMap;
  /** Of the map: the present piece, and how much of it has come. */
  #piece = 0;
  #inPiece = 0;

  private constructor(file: FileHandle, map: SparseMap) {
    this.#file = file;
    this.#map = map;
  }

  /** @param sparse null: it comes as a whole */
  static async create(path: string, size: number, sparse: SparseMap | null): Promise<PiecedFile> {
    const file = await open(path, "wx", 0o600);
    const made = new PiecedFile(file, sparse ?? { size, offsets: [0], lengths: [size] });
    try {
      await file.truncate(size);
      return made;
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  async write(bytes: Buffer): Promise<void> {
    for (let from = 0; from < bytes.length;) {
      const length = this.#map.lengths[this.#piece] ?? 0;
      const part = bytes.subarray(from, from + length - this.#inPiece);
      // Zeros are there already: much of them takes no room, however little they take in the archive.
      if (!isZero(part)) await this.#writeAt(part, (this.#map.offsets[this.#piece] ?? 0) + this.#inPiece);
      from += part.length;
      this.#inPiece += part.length;
      if (this.#inPiece < length) continue;
      this.#piece++;
      this.#inPiece = 0;
    }
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  async #writeAt(bytes: Buffer, position: number): Promise<void> {
    for (let done = 0; done < bytes.length;) {
      const { bytesWritten } = await this.#file.write(bytes, done, bytes.length - done, position + done);
      done += bytesWritten;
    }
  }
}

const zeros = Buffer.alloc(1 << 18);

function isZero(bytes: Buffer): boolean {
  for (let at = 0; at < bytes.length; at += zeros.length) {
    const end = Math.min(at + zeros.length, bytes.length);
    if (bytes.compare(zeros, 0, end - at, at, end) !== 0) return false;
  }
  return true;
}
