import assert from "node:assert/strict";
import { test } from "node:test";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { ImageError } from "../../src/errors/index.ts";
import type { LayerSource } from "../../src/image/import/layer-source.ts";
import type { ImportLimits } from "../../src/image/import/limits.ts";
import { layerOf, refused } from "./image-support.ts";
import { archive, pax, paxRecord, tarEntry } from "./image-tar-builder.ts";

interface Hostile {
  readonly name: string;
  /** The layers, the lowest first. */
  readonly layers: readonly (Uint8Array | LayerSource)[];
  readonly says: RegExp;
  readonly limits?: Partial<ImportLimits>;
}

const file = tarEntry({ name: "file", data: "content" });
const good = archive(file);
const long = (length: number): string => "n".repeat(length);
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

/** A raw pax header. */
function rawPax(content: string): Buffer {
  return tarEntry({ name: "pax", type: "x", data: content });
}

function base256(header: Buffer, at: number, width: number, first: number, rest: number): void {
  header.fill(rest, at, at + width);
  header[at] = first;
}

function gnuSparse(offset: string, length: string, size: string): Buffer {
  return tarEntry({
    name: "sparse",
    type: "S",
    data: "data",
    edit: (header) => {
      header.write("ustar  \0", 257, "latin1");
      header.fill(0, 345, 512);
      header.write(offset.padStart(11, "0"), 386, "latin1");
      header.write(length.padStart(11, "0"), 398, "latin1");
      header.write(size.padStart(11, "0"), 483, "latin1");
    },
  });
}

const bomb = gzipSync(Buffer.alloc(8 << 20));
const bombZstd = zstdCompressSync(Buffer.alloc(8 << 20));

const cases: readonly Hostile[] = [
  // Names
  {
    name: "a name that climbs out",
    layers: [archive(tarEntry({ name: "../etc/passwd" }))],
    says: /"\.\." comp/,
  },
  {
    name: "a name that climbs out from inside",
    layers: [archive(tarEntry({ name: "a/../../etc/passwd" }))],
    says: /"a\/\.\.\/\.\.\/etc\/passwd": its name has a "\.\."/,
  },
  {
    name: "an absolute name that climbs",
    layers: [archive(tarEntry({ name: "/../x" }))],
    says: /"\.\." comp/,
  },
  {
    name: "a directory named ..",
    layers: [archive(tarEntry({ name: "..", type: "5" }))],
    says: /"\.\." comp/,
  },
  {
    name: "a pax name that climbs out",
    layers: [archive(pax({ path: "x/../../y" }), file)],
    says: /"x\/\.\.\/\.\.\/y": its name/,
  },
  { name: "a pax name with a zero byte", layers: [archive(pax({ path: "a\0b" }), file)], says: /zero byte/ },
  { name: "an empty name", layers: [archive(tarEntry({ name: "" }))], says: /empty/ },
  {
    name: "a name of 256 bytes",
    layers: [archive(pax({ path: long(256) }), file)],
    says: /256 bytes, more than 255/,
  },
  {
    name: "a directory part of 300 bytes",
    layers: [archive(pax({ path: `${long(300)}/x` }), file)],
    says: /300 bytes, more than 255/,
  },
  {
    name: "a path of 5000 bytes",
    layers: [archive(pax({ path: `${long(99)}/`.repeat(50) }), file)],
    says: /more than 4096/,
  },
  { name: "1500 levels", layers: [archive(pax({ path: "a/".repeat(1500) }), file)], says: /more than 1000/ },
  {
    name: "the root as a file",
    layers: [archive(tarEntry({ name: "./", type: "2", link: "x" }))],
    says: /names the root/,
  },
  // Links
  {
    name: "an entry below a file",
    layers: [archive(file, tarEntry({ name: "file/below" }))],
    says: /"file\/below": a part of its name, "file", is no directory/,
  },
  {
    name: "an entry below a link that leads to itself",
    layers: [archive(tarEntry({ name: "loop", type: "2", link: "loop" }), tarEntry({ name: "loop/x" }))],
    says: /too many symbolic links/,
  },
  {
    name: "an entry below two links that lead to each other",
    layers: [
      archive(
        tarEntry({ name: "a", type: "2", link: "b" }),
        tarEntry({ name: "b", type: "2", link: "a" }),
        tarEntry({ name: "a/x" }),
      ),
    ],
    says: /too many symbolic links/,
  },
  {
    name: "an empty symbolic link",
    layers: [archive(tarEntry({ name: "l", type: "2" }))],
    says: /link is empty/,
  },
  {
    name: "a symbolic link of 4096 bytes",
    layers: [archive(pax({ linkpath: long(4096) }), tarEntry({ name: "l", type: "2" }))],
    says: /more than 4095/,
  },
  {
    name: "a symbolic link with a zero byte",
    layers: [archive(pax({ linkpath: "a\0b" }), tarEntry({ name: "l", type: "2" }))],
    says: /zero byte/,
  },
  {
    name: "a hard link to nothing",
    layers: [archive(tarEntry({ name: "h", type: "1", link: "missing" }))],
    says: /layer one: .*"missing", which is no file/,
  },
  {
    name: "a hard link out of the root",
    layers: [archive(tarEntry({ name: "h", type: "1", link: "../../etc/shadow" }))],
    says: /"h": it is a hard link to a wrong name/,
  },
  {
    name: "a hard link to a file of the host, through a symbolic link",
    layers: [
      archive(
        tarEntry({ name: "up", type: "2", link: "../../../../etc" }),
        tarEntry({ name: "h", type: "1", link: "up/passwd" }),
      ),
    ],
    says: /no file of the image/,
  },
  {
    name: "a hard link to a directory",
    layers: [archive(tarEntry({ name: "d", type: "5" }), tarEntry({ name: "h", type: "1", link: "d" }))],
    says: /"d", which is no file/,
  },
  {
    name: "a hard link to itself",
    layers: [archive(tarEntry({ name: "h", type: "1", link: "h" }))],
    says: /no file/,
  },
  {
    name: "two hard links to each other",
    layers: [
      archive(tarEntry({ name: "a", type: "1", link: "b" }), tarEntry({ name: "b", type: "1", link: "a" })),
    ],
    says: /no file of the image/,
  },
  {
    name: "a hard link to the root",
    layers: [archive(tarEntry({ name: "h", type: "1", link: "/" }))],
    says: /no file of the image/,
  },
  {
    name: "a hard link to a lower layer's directory",
    layers: [
      archive(tarEntry({ name: "d", type: "5" })),
      archive(tarEntry({ name: "h", type: "1", link: "d" })),
    ],
    says: /hard link leads to "d"/,
  },
  {
    name: "a hard link to a file that its layer deletes",
    layers: [good, archive(tarEntry({ name: ".wh.file" }), tarEntry({ name: "h", type: "1", link: "file" }))],
    says: /no file of the image/,
  },
  {
    name: "a hard link to a file that a layer between deletes",
    layers: [
      good,
      archive(tarEntry({ name: ".wh.file" })),
      archive(tarEntry({ name: "h", type: "1", link: "file" })),
    ],
    says: /hard link leads to "file"/,
  },
  {
    name: "a hard link into an opaque directory",
    layers: [
      archive(tarEntry({ name: "d/f" })),
      archive(tarEntry({ name: "d/.wh..wh..opq" }), tarEntry({ name: "h", type: "1", link: "d/f" })),
    ],
    says: /no file of the image/,
  },
  // Whiteouts
  {
    name: "a whiteout without a name",
    layers: [archive(tarEntry({ name: "d/.wh." }))],
    says: /whiteout of nothing/,
  },
  {
    name: "a whiteout of ..",
    layers: [archive(tarEntry({ name: "d/.wh..." }))],
    says: /whiteout of nothing/,
  },
  { name: "a whiteout of .", layers: [archive(tarEntry({ name: "d/.wh.." }))], says: /whiteout of nothing/ },
  {
    name: "a whiteout that climbs by a slash",
    layers: [archive(tarEntry({ name: ".wh.a/../../x" }))],
    says: /"\.\." comp/,
  },
  {
    name: "an entry below a whiteout",
    layers: [archive(tarEntry({ name: ".wh.a/b" }))],
    says: /below a whiteout/,
  },
  // Headers
  {
    name: "a wrong checksum",
    layers: [archive(tarEntry({ name: "x", badChecksum: true }))],
    says: /checksum/,
  },
  {
    name: "no tar at all",
    layers: [Buffer.from("this is a shell script\n".repeat(100))],
    says: /checksum|octal/,
  },
  {
    name: "a negative size",
    layers: [archive(tarEntry({ name: "x", edit: (header) => base256(header, 124, 12, 0xff, 0xff) }))],
    says: /negative size/,
  },
  {
    name: "a size beyond all numbers",
    layers: [archive(tarEntry({ name: "x", edit: (header) => base256(header, 124, 12, 0x80, 0xff) }))],
    says: /too large/,
  },
  {
    name: "a size of letters",
    layers: [archive(tarEntry({ name: "x", edit: (header) => header.write("12xyz", 124, "latin1") }))],
    says: /octal/,
  },
  { name: "a negative pax size", layers: [archive(pax({ size: "-1" }), file)], says: /size "-1"/ },
  {
    name: "a pax size beyond all numbers",
    layers: [archive(pax({ size: "99999999999999999999" }), file)],
    says: /size/,
  },
  {
    name: "an unknown type",
    layers: [archive(tarEntry({ name: "x", type: "V" }))],
    says: /unknown type "V"/,
  },
  { name: "an owner of -1", layers: [archive(pax({ uid: "4294967295" }), file)], says: /owner out of range/ },
  { name: "a negative owner", layers: [archive(pax({ gid: "-5" }), file)], says: /owner out of range/ },
  {
    name: "a time that is none",
    layers: [archive(pax({ mtime: "yesterday" }), file)],
    says: /time "yesterday"/,
  },
  {
    name: "a device number out of range",
    layers: [archive(tarEntry({ name: "x", type: "3", major: 5000, minor: 1 }))],
    says: /5000:1 is out of range/,
  },
  {
    name: "a pax record that is too long",
    layers: [archive(rawPax("99 path=x\n"), file)],
    says: /wrong length/,
  },
  {
    name: "a pax record of length zero",
    layers: [archive(rawPax("0 path=x\n"), file)],
    says: /wrong length/,
  },
  { name: "a pax record without a key", layers: [archive(rawPax("6 =ab\n"), file)], says: /without a key/ },
  { name: "pax text", layers: [archive(rawPax("hello there"), file)], says: /wrong length/ },
  {
    name: "a pax header of 2 MiB",
    layers: [archive(tarEntry({ name: "x", type: "x", data: Buffer.alloc(2 << 20) }), file)],
    says: /extended tar header has 2097152 bytes/,
  },
  {
    name: "a pax header that says it has 1 TiB",
    layers: [
      archive(tarEntry({ name: "x", type: "x", edit: (header) => base256(header, 124, 12, 0x80, 0x01) })),
    ],
    says: /extended tar header has|too large/,
  },
  {
    name: "a GNU long name of 1 MiB",
    layers: [archive(tarEntry({ name: "x", type: "L", data: Buffer.alloc(1 << 20, 0x61) }), file)],
    says: /extended tar header has 1048576/,
  },
  {
    name: "global headers without end",
    layers: [archive(...Array.from({ length: 3 }, () => pax({ comment: long(500_000) }, "g")), file)],
    says: /global tar headers/,
  },
  {
    name: "an extended header before nothing",
    layers: [archive(pax({ path: "x" }))],
    says: /before no entry/,
  },
  {
    name: "a zero block between entries",
    layers: [Buffer.concat([file, Buffer.alloc(512), file, Buffer.alloc(1024)])],
    says: /zero block stands between/,
  },
  // Attributes
  {
    name: "an attribute of 70,000 bytes",
    layers: [archive(pax({ "SCHILY.xattr.user.big": long(70_000) }), file)],
    says: /70000 bytes/,
  },
  {
    name: "an attribute with a name of 300 bytes",
    layers: [archive(pax({ [`SCHILY.xattr.user.${long(300)}`]: "x" }), file)],
    says: /name of 305 bytes/,
  },
  {
    name: "attributes that are too many",
    layers: [
      archive(
        pax(
          Object.fromEntries(Array.from({ length: 6 }, (_, i) => [`SCHILY.xattr.user.${i}`, long(60_000)])),
        ),
        file,
      ),
    ],
    says: /extended attributes take/,
  },
  // Sparse files
  {
    name: "a sparse piece beyond the file",
    layers: [archive(gnuSparse("1000", "4", "10"))],
    says: /sparse file/,
  },
  {
    name: "a sparse map that does not fit the data",
    layers: [archive(gnuSparse("0", "3", "100"))],
    says: /fit its data/,
  },
  {
    name: "a sparse map in the wrong order",
    layers: [
      archive(
        pax({ "GNU.sparse.map": "10,2,0,2", "GNU.sparse.size": "20" }),
        tarEntry({ name: "s", data: "abcd" }),
      ),
    ],
    says: /out of order/,
  },
  {
    name: "a sparse map with an odd number",
    layers: [
      archive(
        pax({ "GNU.sparse.map": "0,2,4", "GNU.sparse.size": "20" }),
        tarEntry({ name: "s", data: "ab" }),
      ),
    ],
    says: /out of order/,
  },
  {
    name: "a sparse map that never ends",
    layers: [
      archive(
        pax({ "GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "20" }),
        tarEntry({ name: "s", data: "9\n1\n1\n".padEnd(512, "1\n") }),
      ),
    ],
    says: /sparse file/,
  },
  {
    name: "a sparse map of a future version",
    layers: [archive(pax({ "GNU.sparse.major": "7", "GNU.sparse.minor": "0" }), file)],
    says: /unknown version/,
  },
  {
    name: "a sparse offset twice",
    layers: [
      archive(rawPax(paxRecord("GNU.sparse.offset", "1") + paxRecord("GNU.sparse.offset", "2")), file),
    ],
    says: /out of order/,
  },
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

test("there are at least forty hostile layers, each with its own name", () => {
  assert.ok(cases.length >= 40);
  assert.equal(new Set(cases.map(({ name }) => name)).size, cases.length);
});

for (const { name, layers, says, limits } of cases) {
  test(`is refused and leaves nothing: ${name}`, { timeout: 20_000 }, async () => {
    const sources = layers.map((layer) => (layer instanceof Uint8Array ? layerOf(layer) : layer));
    const { error, left, result } = await refused(sources, limits);
    assert.equal(result, null);
    assert.ok(error instanceof ImageError, String(error));
    assert.match(error.message, says);
    assert.match(error.message, /^layer one: |^the root file system/);
    assert.deepEqual(left, []);
  });
}

test("the same bytes without their faults are an image", async () => {
  for (const layer of [
    layerOf(good),
    layerOf(good, gzipSync(good)),
    layerOf(good, zstdCompressSync(good)),
    layerOf(good, Buffer.concat([gzipSync(good.subarray(0, 700)), gzipSync(good.subarray(700))])),
  ]) {
    const { error, left } = await refused([layer]);
    assert.equal(error, null);
    assert.deepEqual(left, ["image"]);
  }
});
