/**
 * A sparse file in compact form, for a blank disk that is gigabytes long and almost all zeros.
 *
 * The format: one line of JSON (`{"version":1,"virtualSize":…,"extents":[[offset,length],…]}`, sizes in bytes,
 * extents sorted, aligned to 4096 bytes and not overlapping), a newline, then the bytes of the extents one after
 * the other. Whatever no extent covers is zero.
 */
import { open, unlink, type FileHandle } from "node:fs/promises";
import { IoError } from "../../errors/index.ts";
import { ioError } from "../system-error.ts";

const FORMAT_VERSION = 1;
/** Zeros are found and dropped in units of this many bytes: the block size of the file systems inside. */
const BLOCK_BYTES = 4096;
const CHUNK_BYTES = 1024 * 1024;
/** A header line longer than this is not one of ours. */
const HEADER_LIMIT_BYTES = 16 * 1024 * 1024;

export type Extent = readonly [offset: number, length: number];

interface Header {
  readonly virtualSize: number;
  readonly extents: readonly Extent[];
  /** Where the data begins in the compact file. */
  readonly dataOffset: number;
}

/**
 * Writes the compact form of a (sparse) file.
 *
 * @param source path of the file to read; its size must be a multiple of 4096 bytes
 * @param target path of the compact file; replaced when it exists
 * @param within where to look for data, when it is known where the holes are: sorted, not overlapping
 * @returns the number of bytes of data kept
 * @throws IoError when a file cannot be read or written
 */
export async function packExtents(
  source: string,
  target: string,
  within?: readonly Extent[],
): Promise<number> {
  return await withFiles(source, target, async (input, output) => {
    const virtualSize = (await input.stat()).size;
    if (virtualSize % BLOCK_BYTES !== 0) {
      throw new IoError(`${source}: its size, ${virtualSize} bytes, is not a multiple of ${BLOCK_BYTES}`);
    }
    const extents = await findData(input, within ?? [[0, virtualSize]]);
    const header = `${JSON.stringify({ version: FORMAT_VERSION, virtualSize, extents })}\n`;
    let position = await writeAll(output, Buffer.from(header), 0);
    const dataOffset = position;
    for (const [offset, length] of extents) {
      position = await copyRange(input, offset, output, position, length);
    }
    return position - dataOffset;
  });
}

/**
 * Writes the whole file that a compact file describes. Takes no more disk than its data: the rest stays a hole.
 *
 * @param source path of the compact file
 * @param target path of the file to write, mode 0600; must not exist
 * @throws IoError when `source` is damaged, when `target` exists, or when the disk is full; `target` is then removed
 *
 * @example
 * ```ts
 * await unpackExtents("dist/guest/x86_64/upper.extents", "/tmp/upper.img");
 * ```
 */
export async function unpackExtents(source: string, target: string): Promise<void> {
  await withFiles(
    source,
    target,
    async (input, output) => {
      const header = await readHeader(source, input);
      await output.truncate(header.virtualSize);
      let position = header.dataOffset;
      for (const [offset, length] of header.extents) {
        await copyRange(input, position, output, offset, length);
        position += length;
      }
    },
    { exclusive: true },
  );
}

/** Pieces of one file, in an archive too: more take more memory than what lies between them takes room. */
const MAXIMUM_EXTENTS = 1 << 17;

/**
 * Finds where a sparse file has data. Of a file in very many pieces those that lie close to each other are told as one, with the zeros
 * between them.
 *
 * @param path of a file whose size is a multiple of 4096 bytes
 * @throws IoError; the signal's reason
 */
export async function findExtents(path: string, signal?: AbortSignal): Promise<readonly Extent[]> {
  let input: FileHandle | undefined;
  try {
    input = await open(path, "r");
    let extents: Extent[] = await findData(input, [[0, (await input.stat()).size]], signal);
    for (let gap = 2 * BLOCK_BYTES; extents.length > MAXIMUM_EXTENTS; gap *= 2)
      extents = joined(extents, gap);
    return extents;
  } catch (error) {
    signal?.throwIfAborted();
    throw ioError(`read ${path}`, error);
  } finally {
    await input?.close();
  }
}

function joined(extents: readonly Extent[], gap: number): Extent[] {
  const found: [offset: number, length: number][] = [];
  for (const [offset, length] of extents) {
    const last = found.at(-1);
    if (last !== undefined && offset - (last[0] + last[1]) < gap) last[1] = offset + length - last[0];
    else found.push([offset, length]);
  }
  return found;
}

/** The size in bytes of the file that a compact file describes. */
export async function extentsVirtualSize(source: string): Promise<number> {
  let input: FileHandle | undefined;
  try {
    input = await open(source, "r");
    return (await readHeader(source, input)).virtualSize;
  } catch (error) {
    throw ioError(`read ${source}`, error);
  } finally {
    await input?.close();
  }
}

async function withFiles<T>(
  source: string,
  target: string,
  work: (input: FileHandle, output: FileHandle) => Promise<T>,
  options: { readonly exclusive?: boolean } = {},
): Promise<T> {
  let input: FileHandle | undefined;
  let output: FileHandle | undefined;
  try {
    input = await open(source, "r");
    output = await open(target, options.exclusive === true ? "wx" : "w", 0o600);
    return await work(input, output);
  } catch (error) {
    if (output !== undefined) await unlink(target).catch(() => undefined);
    throw ioError(`write ${target} from ${source}`, error);
  } finally {
    await output?.close();
    await input?.close();
  }
}

async function findData(
  input: FileHandle,
  within: readonly Extent[],
  signal?: AbortSignal,
): Promise<Extent[]> {
  const zeros = Buffer.alloc(CHUNK_BYTES);
  const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
  const extents: [number, number][] = [];
  for (const [offset, length] of within) {
    const end = offset + length;
    for (let start = offset; start < end; start += CHUNK_BYTES) {
      signal?.throwIfAborted();
      const wanted = Math.min(CHUNK_BYTES, end - start);
      await readAll(input, chunk, start, wanted);
      if (chunk.compare(zeros, 0, wanted, 0, wanted) === 0) continue;
      for (let at = 0; at < wanted; at += BLOCK_BYTES) {
        if (chunk.compare(zeros, 0, BLOCK_BYTES, at, at + BLOCK_BYTES) === 0) continue;
        const last = extents.at(-1);
        if (last !== undefined && last[0] + last[1] === start + at) last[1] += BLOCK_BYTES;
        else extents.push([start + at, BLOCK_BYTES]);
      }
    }
  }
  return extents;
}

async function readHeader(path: string, input: FileHandle): Promise<Header> {
  const { size } = await input.stat();
  let text = Buffer.alloc(0);
  for (;;) {
    const newline = text.indexOf(0x0a);
    if (newline >= 0) return parseHeader(path, text.toString("utf8", 0, newline), newline + 1, size);
    if (text.length === size || text.length >= HEADER_LIMIT_BYTES)
      throw damaged(path, "its header has no end");
    const more = Buffer.allocUnsafe(Math.min(64 * 1024, size - text.length));
    await readAll(input, more, text.length, more.length);
    text = Buffer.concat([text, more]);
  }
}

function parseHeader(path: string, line: string, dataOffset: number, fileSize: number): Header {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    throw damaged(path, "its header is not JSON", error);
  }
  if (typeof value !== "object" || value === null) throw damaged(path, "its header is not an object");
  if (!("version" in value) || value.version !== FORMAT_VERSION)
    throw damaged(path, "its version is unknown");
  if (!("virtualSize" in value) || !isBlocks(value.virtualSize)) throw damaged(path, "its size is not valid");
  if (!("extents" in value) || !Array.isArray(value.extents)) throw damaged(path, "it lists no extents");
  const { virtualSize } = value;
  let end = 0;
  let total = 0;
  const extents = value.extents.map((entry: unknown): Extent => {
    if (!Array.isArray(entry)) throw damaged(path, "an extent is not a pair");
    const [offset, length] = entry as readonly unknown[];
    if (!isBlocks(offset) || !isBlocks(length) || offset < end || offset + length > virtualSize) {
      throw damaged(path, "an extent lies outside its place");
    }
    end = offset + length;
    total += length;
    return [offset, length];
  });
  if (dataOffset + total !== fileSize) throw damaged(path, "its length does not fit its extents");
  return { virtualSize, extents, dataOffset };
}

function isBlocks(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0 && Number(value) % BLOCK_BYTES === 0;
}

function damaged(path: string, what: string, cause?: unknown): IoError {
  return new IoError(`${path} is damaged: ${what}`, {
    hint: "Build the guest files again: remove them, then `npm run build`.",
    cause,
  });
}

async function copyRange(
  input: FileHandle,
  from: number,
  output: FileHandle,
  to: number,
  length: number,
): Promise<number> {
  const chunk = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, length));
  for (let done = 0; done < length;) {
    const part = Math.min(chunk.length, length - done);
    await readAll(input, chunk, from + done, part);
    await writeAll(output, chunk.subarray(0, part), to + done);
    done += part;
  }
  return to + length;
}

async function readAll(input: FileHandle, into: Buffer, position: number, length: number): Promise<void> {
  for (let done = 0; done < length;) {
    const { bytesRead } = await input.read(into, done, length - done, position + done);
    if (bytesRead === 0) throw new IoError("the file ended early");
    done += bytesRead;
  }
}

/** @returns the position after the last byte written */
async function writeAll(output: FileHandle, bytes: Buffer, position: number): Promise<number> {
  for (let done = 0; done < bytes.length;) {
    const { bytesWritten } = await output.write(bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
  return position + bytes.length;
}
