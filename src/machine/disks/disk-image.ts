import { constants, open, type FileHandle } from "node:fs/promises";
import { errorCode, ioError } from "../../host/system-error.ts";
import {
  imageNotPermitted,
  missingImage,
  noImageFile,
  notPermittedCodes,
  unfitImage,
} from "../../store/mounts/image-faults.ts";
import type { Disk } from "../types.ts";

const convertHint = "Make a plain image of it: qemu-img convert -O qcow2 OLD NEW.qcow2";

/**
 * Looks at a disk image that a user brought, before QEMU opens it with the user's rights. A qcow2 or VMDK file can name
 * further files of the host to read from or write to; one that does is refused, so that an image from anywhere can be used.
 *
 * QEMU is told the format and guesses nothing, so a raw image cannot turn itself into another kind.
 *
 * Formats: QEMU's docs/interop/qcow2.txt; VMware's "Virtual Disk Format 5.0" and QEMU's block/vmdk.c.
 *
 * @param options.readOnly it is not going to be written
 * @throws InvalidConfigError when the file is missing, no regular file, not this user's to write, of another format, or
 *   depends on other files; IoError when it cannot be read
 */
export async function checkDiskImage(
  path: string,
  format: Disk["format"],
  { readOnly = false } = {},
): Promise<void> {
  const file = await openImage(path, readOnly);
  try {
    const status = await file.stat();
    if (!status.isFile()) throw noImageFile(path);
    if (status.size === 0) throw unfitImage(path, "is empty", "Name a disk image.");
    if (format === "qcow2") await checkQcow2(path, file);
    if (format === "vmdk") await checkVmdk(path, file);
  } catch (error) {
    throw error instanceof Error && "syscall" in error ? ioError(`read ${path}`, error) : error;
  } finally {
    await file.close();
  }
}

async function openImage(path: string, readOnly: boolean): Promise<FileHandle> {
  try {
    // As QEMU will; without waiting, should it be a pipe.
    return await open(path, (readOnly ? constants.O_RDONLY : constants.O_RDWR) | constants.O_NONBLOCK);
  } catch (error) {
    const code = errorCode(error) ?? "";
    if (code === "ENOENT" || code === "ENOTDIR") throw missingImage(path, error);
    if (code === "EISDIR") throw noImageFile(path);
    if (notPermittedCodes.has(code)) throw imageNotPermitted(path, readOnly, error);
    throw ioError(`open ${path}`, error);
  }
}

const qcow2 = {
  magic: 0x514649fb,
  headerBytes: 104,
  incompatible: { externalData: 4n, known: 0b11111n },
  extension: { end: 0, externalData: 0x44415441 },
} as const;
/** The header and its extensions end with the first cluster, of at most 2 MiB. */
const largestClusterBits = 21;

async function checkQcow2(path: string, file: FileHandle): Promise<void> {
  const header = await readStart(file, 0, qcow2.headerBytes);
  const version = header.readUInt32BE(4);
  if (header.readUInt32BE(0) !== qcow2.magic || (version !== 2 && version !== 3)) {
    throw unfitImage(path, "is no qcow2 image", "Give it the extension of its format, or convert it.");
  }
  if (header.readBigUInt64BE(8) !== 0n || header.readUInt32BE(16) !== 0) {
    throw unfitImage(path, "has a backing file", convertHint);
  }
  if (header.readUInt32BE(32) !== 0) throw unfitImage(path, "is encrypted", convertHint);
  const features = version === 2 ? 0n : header.readBigUInt64BE(72);
  if ((features & qcow2.incompatible.externalData) !== 0n) {
    throw unfitImage(path, "keeps its data in another file", convertHint);
  }
  if ((features & ~qcow2.incompatible.known) !== 0n) {
    throw unfitImage(path, "uses features of qcow2 that are not known", convertHint);
  }
  const clusterBits = header.readUInt32BE(20);
  if (clusterBits < 9 || clusterBits > largestClusterBits) throw unfitImage(path, "is damaged", convertHint);
  const start = version === 2 ? 72 : header.readUInt32BE(100);
  const cluster = await readStart(file, 0, 2 ** clusterBits);
  for (let at = start; at + 8 <= cluster.length;) {
    const type = cluster.readUInt32BE(at);
    if (type === qcow2.extension.end) return;
    if (type === qcow2.extension.externalData) throw unfitImage(path, "names another file", convertHint);
    // Each is padded to a multiple of 8 bytes.
    at += 8 + Math.ceil(cluster.readUInt32BE(at + 4) / 8) * 8;
  }
}

const sectorBytes = 512;
/** Offsets in the header of a sparse extent, all little-endian. */
const vmdk = {
  magic: "KDMV",
  headerBytes: sectorBytes,
  capacity: 12,
  descriptorOffset: 28,
  descriptorSize: 36,
  compression: 77,
} as const;
/** QEMU looks for a parent in these 20 sectors behind the header, whatever the header says. */
const descriptorBytes = 20 * sectorBytes;

async function checkVmdk(path: string, file: FileHandle): Promise<void> {
  const header = await readStart(file, 0, vmdk.headerBytes);
  const magic = header.toString("latin1", 0, 4);
  // A file that begins with text, or that has no capacity of its own, is a list of other files.
  if (magic.startsWith("#") || (magic === vmdk.magic && header.readBigUInt64LE(vmdk.capacity) === 0n)) {
    throw unfitImage(path, "keeps its data in other files", convertHint);
  }
  if (magic !== vmdk.magic) {
    throw unfitImage(path, "is no sparse VMDK image", "Give it the extension of its format, or convert it.");
  }
  if (header.readUInt16LE(vmdk.compression) !== 0) {
    throw unfitImage(path, "is a compressed VMDK image, which cannot be written", convertHint);
  }
  const offset = Number(header.readBigUInt64LE(vmdk.descriptorOffset)) * sectorBytes;
  const size = Number(header.readBigUInt64LE(vmdk.descriptorSize)) * sectorBytes;
  if (offset > 2 ** 40 || size > 2 ** 20) throw unfitImage(path, "is damaged", convertHint);
  const places = [
    [sectorBytes, descriptorBytes] as const,
    [offset, Math.max(size, descriptorBytes)] as const,
  ];
  for (const [at, length] of places) {
    const descriptor = (await readStart(file, at, length)).toString("latin1");
    if (/parentFileNameHint/i.test(descriptor)) throw unfitImage(path, "has a parent image", convertHint);
  }
}

/** Bytes behind the file's end are zeros. */
async function readStart(file: FileHandle, at: number, length: number): Promise<Buffer> {
  const bytes = Buffer.alloc(length);
  for (let done = 0; done < length;) {
    const { bytesRead } = await file.read(bytes, done, length - done, at + done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return bytes;
}
