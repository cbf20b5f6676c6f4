import type { FileHandle } from "node:fs/promises";
import { open } from "node:fs/promises";
import type { Platform } from "../qemu/platform.ts";

/**
 * What a file that is offered as a guest kernel is.
 *
 * - `kernel`: QEMU can boot it.
 * - `library`: a shared object, such as libkrunfw, which holds a kernel for another VM engine.
 * - `program`: an executable for an operating system.
 * - `unsuitable`: a kernel, but one that cannot boot here.
 * - `unknown`: none of these.
 */
export interface KernelImage {
  readonly kind: "kernel" | "library" | "program" | "unsuitable" | "unknown";
  /** One clause for a person, such as "an ELF kernel with a PVH entry". */
  readonly description: string;
}

/** Looks at the headers of a file only. */
export async function inspectKernelImage(path: string, platform: Platform): Promise<KernelImage> {
  await using file = await open(path, "r");
  const start = await readAt(file, 0, 4096);
  if (start.subarray(0, 4).equals(Buffer.from("\x7fELF", "latin1")))
    return await inspectElf(file, start, platform);
  if (platform.name === "x86_64" && isBzImage(start)) return { kind: "kernel", description: "a bzImage" };
  // Documentation/arm64/booting.rst: the magic number of an Image is at offset 56.
  const isImage = start.length > 60 && start.toString("latin1", 56, 60) === "ARM\x64";
  if (platform.name === "aarch64" && isImage) return { kind: "kernel", description: "an arm64 Image" };
  if (isBzImage(start) || isImage)
    return { kind: "unsuitable", description: "a kernel for another processor" };
  return { kind: "unknown", description: "no kernel image" };
}

/** Documentation/arch/x86/boot.rst: the boot flag at 0x1fe and the magic number of the header at 0x202. */
function isBzImage(start: Buffer): boolean {
  return (
    start.length > 0x206 &&
    start.readUInt16LE(0x1fe) === 0xaa55 &&
    start.toString("latin1", 0x202, 0x206) === "HdrS"
  );
}

const segmentType = { dynamic: 2, interpreter: 3, note: 4 } as const;
const typeExecutable = 2;
const typeDynamic = 3;

/** elf(5), 64-bit little-endian. */
async function inspectElf(file: FileHandle, start: Buffer, platform: Platform): Promise<KernelImage> {
  const is64LittleEndian = start[4] === 2 && start[5] === 1;
  if (!is64LittleEndian || start.length < 64)
    return { kind: "unsuitable", description: "not a 64-bit ELF file" };
  const type = start.readUInt16LE(16);
  const machine = start.readUInt16LE(18);
  const entry = start.readBigUInt64LE(24);
  const segments = await readSegments(file, start);
  const has = (kind: number): boolean => segments.some((segment) => segment.type === kind);
  if (has(segmentType.interpreter)) return { kind: "program", description: "a program, not a kernel" };
  if (type === typeDynamic && has(segmentType.dynamic)) {
    return { kind: "library", description: "a shared object (libkrunfw is one), not a kernel image" };
  }
  if ((type !== typeExecutable && type !== typeDynamic) || segments.length === 0 || entry === 0n) {
    return { kind: "unknown", description: "an ELF file that cannot be run" };
  }
  if (machine !== platform.elfMachine)
    return { kind: "unsuitable", description: "an ELF file for another processor" };
  if (platform.name === "aarch64")
    return { kind: "unsuitable", description: "an ELF kernel, where an Image is needed" };
  for (const segment of segments) {
    if (
      segment.type === segmentType.note &&
      hasPvhEntry(await readAt(file, segment.offset, Math.min(segment.size, 65_536)))
    ) {
      return { kind: "kernel", description: "an ELF kernel with a PVH entry" };
    }
  }
  return { kind: "unsuitable", description: "an ELF file without a PVH entry (CONFIG_PVH)" };
}

interface Segment {
  readonly type: number;
  readonly offset: number;
  readonly size: number;
}

const segmentHeaderBytes = 56;

async function readSegments(file: FileHandle, header: Buffer): Promise<Segment[]> {
  const count = Math.min(header.readUInt16LE(56), 64);
  if (header.readUInt16LE(54) !== segmentHeaderBytes) return [];
  const table = await readAt(file, Number(header.readBigUInt64LE(32)), count * segmentHeaderBytes);
  const segments: Segment[] = [];
  for (let at = 0; at + segmentHeaderBytes <= table.length; at += segmentHeaderBytes) {
    segments.push({
      type: table.readUInt32LE(at),
      offset: Number(table.readBigUInt64LE(at + 8)),
      size: Number(table.readBigUInt64LE(at + 32)),
    });
  }
  return segments;
}

/** XEN_ELFNOTE_PHYS32_ENTRY of include/xen/interface/elfnote.h: where a PVH loader, as QEMU is one, enters the kernel. */
const pvhEntryNote = 18;

function hasPvhEntry(notes: Buffer): boolean {
  const align = (length: number): number => (length + 3) & ~3;
  let at = 0;
  while (at + 12 <= notes.length) {
    const nameSize = notes.readUInt32LE(at);
    const descriptionSize = notes.readUInt32LE(at + 4);
    if (nameSize > notes.length || descriptionSize > notes.length) return false;
    const name = notes.toString("latin1", at + 12, at + 12 + nameSize);
    if (name === "Xen\0" && notes.readUInt32LE(at + 8) === pvhEntryNote) return true;
    at += 12 + align(nameSize) + align(descriptionSize);
  }
  return false;
}

/** Fewer bytes than asked for where the file ends; none for an offset that no file has. */
async function readAt(file: FileHandle, position: number, length: number): Promise<Buffer> {
  if (!Number.isSafeInteger(position)) return Buffer.alloc(0);
  const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, position);
  return buffer.subarray(0, bytesRead);
}
