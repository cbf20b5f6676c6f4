import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { decompress, extractVmlinux } from "./kernel-image.ts";

const kernel = Buffer.concat([Buffer.from("\x7fELF", "latin1"), Buffer.alloc(100_000, "kernel")]);
const size = Buffer.alloc(4);
size.writeUInt32LE(kernel.length);
const xz = (bytes: Buffer): Buffer => execFileSync("xz", ["-c", "--check=crc32"], { input: bytes });

/** A bzImage with one set-up sector, some code in front of the payload and some behind it. */
function bzImage(payload: Buffer): Buffer {
  const header = Buffer.alloc(1024);
  header.writeUInt8(1, 0x1f1);
  header.write("HdrS", 0x202, "latin1");
  header.writeUInt32LE(64, 0x248);
  header.writeUInt32LE(payload.length, 0x24c);
  return Buffer.concat([header, Buffer.alloc(64, 0x90), payload, Buffer.alloc(32, 0xcc)]);
}

test("the kernel comes out of a bzImage, however it is compressed", async () => {
  for (const payload of [
    gzipSync(kernel),
    Buffer.concat([xz(kernel), size]),
    Buffer.concat([zstdCompressSync(kernel), size]),
  ]) {
    assert.ok(kernel.equals(await extractVmlinux(bzImage(payload))));
  }
});

test("what is no bzImage, is cut short or is damaged is refused", async () => {
  const good = bzImage(gzipSync(kernel));
  await assert.rejects(extractVmlinux(Buffer.alloc(2000)), /not a bzImage/);
  await assert.rejects(extractVmlinux(good.subarray(0, good.length - 40)), /cut short/);
  await assert.rejects(extractVmlinux(bzImage(Buffer.concat([xz(kernel), Buffer.alloc(4)]))), /size/);
  await assert.rejects(extractVmlinux(bzImage(gzipSync(Buffer.from("no kernel")))), /not an ELF/);
});

test("compressed modules are decompressed, plain ones left alone", async () => {
  for (const bytes of [gzipSync(kernel), xz(kernel), zstdCompressSync(kernel), kernel]) {
    assert.ok(kernel.equals(await decompress(bytes)));
  }
});
