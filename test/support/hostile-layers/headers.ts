import { archive, pax, paxRecord, tarEntry } from "../tar-builder.ts";
import { file, long, type Hostile } from "./hostile.ts";

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

/** Headers, attributes and maps of sparse files that are wrong. */
export const hostileHeaders: readonly Hostile[] = [
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
  {
    name: "an owner of 33 bits",
    layers: [archive(pax({ uid: "4294967296" }), file)],
    says: /owner out of range/,
  },
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
];
