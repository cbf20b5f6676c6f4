import assert from "node:assert/strict";
import { chmod, mkdir, mkdtemp, readFile, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { InvalidConfigError, LibkrunfwNotFoundError } from "../../errors/index.ts";
import { inspectKernelImage } from "./kernel-image.ts";
import { resolveKernel } from "./kernel.ts";
import { hostPlatform } from "../qemu/platform.ts";

let directory = "";
before(async () => {
  directory = await mkdtemp(join(tmpdir(), "msb-kernel-"));
});
after(() => rm(directory, { recursive: true }));

interface ElfShape {
  readonly type?: number;
  readonly machine?: number;
  readonly entry?: bigint;
  /** Type and content of each segment. */
  readonly segments?: readonly (readonly [number, Buffer])[];
}

/** An ELF file with headers and the content of its segments, nothing else. */
function elf({ type = 2, machine = 62, entry = 0x1000000n, segments = [] }: ElfShape): Buffer {
  const header = Buffer.alloc(64);
  header.write("\x7fELF\x02\x01\x01", "latin1");
  header.writeUInt16LE(type, 16);
  header.writeUInt16LE(machine, 18);
  header.writeBigUInt64LE(entry, 24);
  header.writeBigUInt64LE(64n, 32);
  header.writeUInt16LE(56, 54);
  header.writeUInt16LE(segments.length, 56);
  let at = 64 + 56 * segments.length;
  const table = segments.map(([kind, content]) => {
    const entryBytes = Buffer.alloc(56);
    entryBytes.writeUInt32LE(kind, 0);
    entryBytes.writeBigUInt64LE(BigInt(at), 8);
    entryBytes.writeBigUInt64LE(BigInt(content.length), 32);
    at += content.length;
    return entryBytes;
  });
  return Buffer.concat([header, ...table, ...segments.map(([, content]) => content)]);
}

function note(name: string, type: number, content: Buffer): Buffer {
  const padded = (bytes: Buffer): Buffer =>
    Buffer.concat([bytes, Buffer.alloc((4 - (bytes.length % 4)) % 4)]);
  const sizes = Buffer.alloc(12);
  sizes.writeUInt32LE(name.length + 1, 0);
  sizes.writeUInt32LE(content.length, 4);
  sizes.writeUInt32LE(type, 8);
  return Buffer.concat([sizes, padded(Buffer.from(`${name}\0`)), padded(content)]);
}

const load = [1, Buffer.from("code")] as const;
const pvh = [
  4,
  Buffer.concat([note("Linux", 1, Buffer.from("abc")), note("Xen", 18, Buffer.alloc(8))]),
] as const;
const vmlinux = elf({ segments: [load, pvh] });

function bzImage(): Buffer {
  const bytes = Buffer.alloc(4096);
  bytes.writeUInt16LE(0xaa55, 0x1fe);
  bytes.write("HdrS", 0x202);
  return bytes;
}

function armImage(): Buffer {
  const bytes = Buffer.alloc(4096);
  bytes.write("ARM\x64", 56, "latin1");
  return bytes;
}

const images: readonly [string, Buffer, string, RegExp][] = [
  ["an ELF kernel", vmlinux, "kernel", /PVH/],
  ["a relocatable ELF kernel", elf({ type: 3, segments: [load, pvh] }), "kernel", /PVH/],
  ["a bzImage", bzImage(), "kernel", /bzImage/],
  ["a shared object", elf({ type: 3, segments: [load, [2, Buffer.alloc(16)]] }), "library", /libkrunfw/],
  [
    "a shared object with a PVH note",
    elf({ type: 3, segments: [load, pvh, [2, Buffer.alloc(16)]] }),
    "library",
    /libkrunfw/,
  ],
  [
    "a program",
    elf({ type: 3, segments: [load, [3, Buffer.from("/lib/ld.so\0")], [2, Buffer.alloc(16)]] }),
    "program",
    /program/,
  ],
  ["a static program", elf({ segments: [load] }), "unsuitable", /CONFIG_PVH/],
  ["a kernel for arm64", elf({ machine: 183, segments: [load, pvh] }), "unsuitable", /another processor/],
  ["an arm64 Image", armImage(), "unsuitable", /another processor/],
  ["an object file", elf({ type: 1, entry: 0n }), "unknown", /cannot be run/],
  ["a text", Buffer.from("#!/bin/sh\n"), "unknown", /no kernel/],
  ["nothing", Buffer.alloc(0), "unknown", /no kernel/],
  ["half an ELF header", vmlinux.subarray(0, 20), "unsuitable", /64-bit/],
  ["a table of segments that is cut off", vmlinux.subarray(0, 70), "unknown", /cannot be run/],
];

for (const [name, bytes, kind, description] of images) {
  test(`${name} is ${kind} on x86-64`, async () => {
    const path = join(directory, "image");
    await writeFile(path, bytes);
    const image = await inspectKernelImage(path, hostPlatform("x64"));
    assert.equal(image.kind, kind);
    assert.match(image.description, description);
  });
}

test("segments with sizes and offsets that no file has are survived", async () => {
  const hostile = Buffer.from(vmlinux);
  hostile.writeBigUInt64LE(0xffff_ffff_ffff_fff0n, 64 + 56 + 8);
  hostile.writeBigUInt64LE(0xffff_ffff_ffff_ffffn, 64 + 56 + 32);
  const path = join(directory, "hostile");
  await writeFile(path, hostile);
  assert.equal((await inspectKernelImage(path, hostPlatform("x64"))).kind, "unsuitable");
});

test("an arm64 host takes an Image", async () => {
  const path = join(directory, "Image");
  await writeFile(path, armImage());
  assert.equal((await inspectKernelImage(path, hostPlatform("arm64"))).kind, "kernel");
  await writeFile(path, bzImage());
  assert.equal((await inspectKernelImage(path, hostPlatform("arm64"))).kind, "unsuitable");
});

/** A directory of guest files and a kernel that boots on this host, all in small. */
async function guestFiles(
  name: string,
): Promise<{ guestDirectory: string; kernel: string; stagingDirectory: string }> {
  const guestDirectory = join(directory, name);
  await mkdir(guestDirectory);
  for (const file of ["vmlinux", "initramfs.cpio", "guest.json"])
    await writeFile(join(guestDirectory, file), file);
  await writeFile(join(guestDirectory, "agent.cpio"), "agent archive");
  await writeFile(join(guestDirectory, "agent"), "#!/bin/sh\n", { mode: 0o755 });
  const kernel = join(guestDirectory, "own-kernel");
  await writeFile(kernel, process.arch === "arm64" ? armImage() : vmlinux);
  return { guestDirectory, kernel, stagingDirectory: guestDirectory };
}

test("the package's own kernel changes identity with its manifest", async () => {
  const files = await guestFiles("own");
  const kernel = await resolveKernel({ ...files, path: null });
  assert.equal(kernel.vmlinux, join(files.guestDirectory, "vmlinux"));
  assert.equal(kernel.initramfs, join(files.guestDirectory, "initramfs.cpio"));
  assert.equal(kernel.agentPath, join(files.guestDirectory, "agent"));
  assert.equal(kernel.custom, false);
  assert.equal((await resolveKernel({ ...files, path: null })).identity, kernel.identity);
  await writeFile(join(files.guestDirectory, "guest.json"), "other");
  assert.notEqual((await resolveKernel({ ...files, path: null })).identity, kernel.identity);
});

test("missing guest files tell how to build them", async () => {
  const files = await guestFiles("incomplete");
  for (const missing of ["initramfs.cpio", "vmlinux", "guest.json"]) {
    await rm(join(files.guestDirectory, missing));
    await assert.rejects(resolveKernel({ ...files, path: null }), (error) => {
      assert.ok(error instanceof LibkrunfwNotFoundError);
      assert.match(error.message, new RegExp(missing));
      assert.match(error.hint, /npm run build/);
      return true;
    });
    await writeFile(join(files.guestDirectory, missing), missing);
  }
});

test("the user's kernel boots with the agent alone", async () => {
  const files = await guestFiles("alone");
  const kernel = await resolveKernel({ ...files, path: files.kernel });
  assert.equal(kernel.vmlinux, files.kernel);
  assert.equal(kernel.initramfs, join(files.guestDirectory, "agent.cpio"));
  assert.equal(kernel.custom, true);
  await utimes(files.kernel, 1, 1);
  assert.notEqual((await resolveKernel({ ...files, path: files.kernel })).identity, kernel.identity);
});

test("the user's initramfs comes before the agent's, which starts at a multiple of 4", async () => {
  const files = await guestFiles("modules");
  await writeFile(`${files.kernel}.initramfs`, "12345", { mode: 0o400 });
  const kernel = await resolveKernel({ ...files, path: files.kernel });
  assert.equal(await readFile(kernel.initramfs, "latin1"), "12345\0\0\0agent archive");
  assert.equal((await resolveKernel({ ...files, path: files.kernel })).initramfs, kernel.initramfs);
  await writeFile(`${files.kernel}.other`, "");
  await rm(`${files.kernel}.initramfs`);
  await writeFile(`${files.kernel}.initramfs`, "1234");
  assert.equal(
    await readFile((await resolveKernel({ ...files, path: files.kernel })).initramfs, "latin1"),
    "1234agent archive",
  );
});

test("a file that cannot be booted is refused before anything else", async () => {
  const files = await guestFiles("refused");
  const library = join(directory, "libkrunfw.so");
  await writeFile(
    library,
    elf({ type: 3, machine: hostPlatform().elfMachine, segments: [load, [2, Buffer.alloc(16)]] }),
  );
  await assert.rejects(resolveKernel({ ...files, path: library }), (error) => {
    assert.ok(error instanceof InvalidConfigError);
    assert.match(error.message, /libkrunfw\.so cannot be used as guest kernel: it is a shared object/);
    assert.match(error.hint, /Use an/);
    return true;
  });
  for (const path of [join(directory, "missing"), directory]) {
    await assert.rejects(resolveKernel({ ...files, path }), (error) => {
      assert.ok(error instanceof LibkrunfwNotFoundError);
      assert.match(error.hint, /libkrunfwPath/);
      return true;
    });
  }
});

test("an unreadable kernel is refused with what to do", async () => {
  const files = await guestFiles("unreadable");
  await rm(files.kernel);
  await writeFile(files.kernel, vmlinux, { mode: 0 });
  // Root reads everything, so another user has to look. The directory is opened to it first.
  const root = process.getuid?.() === 0;
  if (root) await chmod(directory, 0o755);
  if (root) process.seteuid?.(65_534);
  try {
    await assert.rejects(resolveKernel({ ...files, path: files.kernel }), (error) => {
      assert.ok(error instanceof LibkrunfwNotFoundError);
      assert.match(error.message, /cannot be read|permission/i);
      return true;
    });
  } finally {
    if (root) process.seteuid?.(0);
  }
});
