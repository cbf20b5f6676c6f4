/** Gets the kernel that QEMU boots out of the file that Debian ships. */
import { gunzipSync, zstdDecompressSync } from "node:zlib";
import { run } from "./tools.ts";

/** Offsets in the header of a bzImage (Documentation/arch/x86/boot.rst). */
const SETUP_SECTORS = 0x1f1;
const MAGIC = 0x202;
const PAYLOAD_OFFSET = 0x248;
const PAYLOAD_LENGTH = 0x24c;
const SECTOR_BYTES = 512;
/** What 0 in the header stands for. */
const DEFAULT_SETUP_SECTORS = 4;

const ELF = Buffer.from("\x7fELF", "latin1");
const GZIP = Buffer.from([0x1f, 0x8b]);
const XZ = Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]);
const ZSTD = Buffer.from([0x28, 0xb5, 0x2f, 0xfd]);

/**
 * The uncompressed ELF kernel inside a bzImage. QEMU enters it by PVH, without the real-mode stub and its decompressor.
 *
 * @throws Error when the file is no bzImage, or compressed in a way that is not known here
 */
export async function extractVmlinux(image: Buffer): Promise<Buffer> {
  if (image.length < PAYLOAD_LENGTH + 4 || image.toString("latin1", MAGIC, MAGIC + 4) !== "HdrS") {
    throw new Error("the kernel image is not a bzImage");
  }
  const setupSectors = image.readUInt8(SETUP_SECTORS) || DEFAULT_SETUP_SECTORS;
  const start = (setupSectors + 1) * SECTOR_BYTES + image.readUInt32LE(PAYLOAD_OFFSET);
  const length = image.readUInt32LE(PAYLOAD_LENGTH);
  if (length < 8 || start + length > image.length) throw new Error("the bzImage is cut short");
  const payload = image.subarray(start, start + length);
  // The kernel's build ends every payload with the uncompressed size; gzip's own trailer is just that.
  const isGzip = payload.indexOf(GZIP) === 0;
  const kernel = await decompress(isGzip ? payload : payload.subarray(0, -4));
  if (kernel.length !== payload.readUInt32LE(length - 4)) {
    throw new Error("the kernel inside the bzImage has not the size that its trailer tells");
  }
  if (kernel.indexOf(ELF) !== 0) throw new Error("the kernel inside the bzImage is not an ELF file");
  return kernel;
}

/** Undoes gzip, xz or zstd, told by the first bytes; anything else is returned as it is. */
export async function decompress(bytes: Buffer): Promise<Buffer> {
  if (bytes.indexOf(GZIP) === 0) return gunzipSync(bytes);
  if (bytes.indexOf(ZSTD) === 0) return zstdDecompressSync(bytes);
  if (bytes.indexOf(XZ) === 0) return await run("xz", ["-dc", "--single-stream"], { input: bytes });
  return bytes;
}
