import { gzipSync, zstdCompressSync } from "node:zlib";
import type { LayerSource } from "../../../src/image/import/layer-source.ts";
import { layerOf } from "../image-support.ts";
import { archive, pax, tarEntry } from "../tar-builder.ts";
import { good, long, type Hostile } from "./hostile.ts";

/** Bytes that do not compress: xorshift, seeded. */
const noise = Buffer.alloc(40_000);
for (let at = 0, state = 1; at < noise.length; at++) {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  noise[at] = state & 0xff;
}
const noisy = archive(tarEntry({ name: "noise", data: noise }));

/** A layer whose stored bytes were damaged after its diff id was made. */
function damaged(tar: Uint8Array, stored: Uint8Array): LayerSource {
  return layerOf(tar, stored);
}

function flipped(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[at] = (copy[at] ?? 0) ^ 0xff;
  return copy;
}

const bomb = gzipSync(Buffer.alloc(8 << 20));
const bombZstd = zstdCompressSync(Buffer.alloc(8 << 20));

/** Streams that are damaged, and layers that take too much. */
export const hostileStreams: readonly Hostile[] = [
  // Streams
  { name: "an archive cut in a header", layers: [good.subarray(0, 300)], says: /truncated/ },
  {
    name: "an archive cut in a file's data",
    layers: [noisy.subarray(0, 3000)],
    says: /entry "noise": the tar archive is truncated/,
  },
  {
    name: "an archive cut in an extended header",
    layers: [pax({ path: "abc" }).subarray(0, 700)],
    says: /truncated/,
  },
  {
    name: "a gzip stream cut short",
    layers: [damaged(noisy, gzipSync(noisy).subarray(0, 9000))],
    says: /corrupt/,
  },
  {
    name: "a gzip stream with a flipped bit",
    layers: [damaged(noisy, flipped(gzipSync(noisy), 500))],
    says: /corrupt|digest/,
  },
  {
    name: "a gzip stream with a wrong check sum",
    layers: [damaged(noisy, flipped(gzipSync(noisy), gzipSync(noisy).length - 6))],
    says: /corrupt/,
  },
  {
    name: "garbage behind a gzip stream",
    layers: [damaged(good, Buffer.concat([gzipSync(good), Buffer.from("garbage")]))],
    says: /corrupt/,
  },
  {
    name: "a zstd stream cut short",
    layers: [damaged(noisy, zstdCompressSync(noisy).subarray(0, 5000))],
    says: /corrupt/,
  },
  {
    name: "garbage behind a zstd stream",
    layers: [damaged(good, Buffer.concat([zstdCompressSync(good), Buffer.from("garbage")]))],
    says: /corrupt/,
  },
  {
    name: "a zstd stream that wants a window of 2 GiB",
    layers: [damaged(good, Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa8, 0x01, 0x00, 0x00]))],
    says: /refers back further than 32 MiB/,
  },
  {
    name: "a zstd stream that wants a window of 64 MiB",
    layers: [damaged(good, Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x80, 0x01, 0x00, 0x00]))],
    says: /refers back further than 32 MiB/,
  },
  {
    name: "the head of a gzip stream and no more",
    layers: [damaged(good, gzipSync(good).subarray(0, 4))],
    says: /corrupt/,
  },
  {
    name: "another layer than the image says",
    layers: [damaged(noisy, good)],
    says: /has the digest sha256:/,
  },
  {
    name: "bytes behind the archive that the diff id does not cover",
    layers: [damaged(good, Buffer.concat([good, Buffer.from("more")]))],
    says: /has the digest/,
  },
  {
    name: "a diff id that is none",
    layers: [{ ...layerOf(good), diffId: "sha256:../x" }],
    says: /no sha256 digest/,
  },
  // Size
  {
    name: "a gzip bomb",
    layers: [damaged(good, bomb)],
    limits: { maxUncompressedBytes: 1 << 20 },
    says: /larger than allowed|zero block/,
  },
  {
    name: "a zstd bomb behind an archive",
    layers: [damaged(good, Buffer.concat([zstdCompressSync(good), bombZstd]))],
    limits: { maxUncompressedBytes: 1 << 20 },
    says: /larger than allowed/,
  },
  {
    name: "layers that are too large together",
    layers: [noisy, archive(tarEntry({ name: "other", data: noise }))],
    limits: { maxUncompressedBytes: 60_000 },
    says: /larger than allowed/,
  },
  {
    name: "too many entries",
    layers: [archive(...Array.from({ length: 20 }, (_, index) => tarEntry({ name: `f${index}` })))],
    limits: { maxEntries: 15 },
    says: /more than 15 entries/,
  },
  {
    name: "too many directories in one name",
    layers: [archive(tarEntry({ name: "a/".repeat(40) + "x" }))],
    limits: { maxEntries: 20 },
    says: /more than 20 entries/,
  },
  {
    name: "too many whiteouts",
    layers: [archive(...Array.from({ length: 20 }, (_, index) => tarEntry({ name: `.wh.f${index}` })))],
    limits: { maxEntries: 15 },
    says: /more than 15 entries/,
  },
  {
    name: "names that fill the memory",
    layers: [archive(...Array.from({ length: 20 }, (_, index) => tarEntry({ name: `${index}${long(90)}` })))],
    limits: { maxMetadataBytes: 1000 },
    says: /take more than 1000 bytes/,
  },
  {
    name: "a file larger than allowed",
    layers: [noisy],
    limits: { maxFileBytes: 10_000 },
    says: /entry "noise": a file has 40000 bytes/,
  },
  {
    name: "a sparse file of 8 PiB",
    layers: [
      archive(
        pax({ "GNU.sparse.map": "0,2", "GNU.sparse.size": String(2 ** 53 - 1) }),
        tarEntry({ name: "s", data: "ab" }),
      ),
    ],
    says: /a file has 9007199254740991 bytes/,
  },
  {
    name: "sparse files whose chunks fill the image",
    layers: [
      archive(
        pax({ "GNU.sparse.map": "0,1,1000000000000,1", "GNU.sparse.size": String(2 ** 40) }),
        tarEntry({ name: "s", data: "ab" }),
      ),
    ],
    limits: { maxImageBytes: 1 << 24 },
    says: /takes more than 16777216 bytes/,
  },
];
