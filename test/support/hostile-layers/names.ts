import { archive, pax, tarEntry } from "../tar-builder.ts";
import { file, good, long, type Hostile } from "./hostile.ts";

/** Names, links and whiteouts that lead where they must not. */
export const hostileNames: readonly Hostile[] = [
  // Names
  {
    name: "a name that climbs out",
    layers: [archive(tarEntry({ name: "../etc/passwd" }))],
    says: /out of the root by "\.\."/,
  },
  {
    name: "a name that climbs out from inside",
    layers: [archive(tarEntry({ name: "a/../../etc/passwd" }))],
    says: /"a\/\.\.\/\.\.\/etc\/passwd": its name leads out/,
  },
  {
    name: "a directory named ..",
    layers: [archive(tarEntry({ name: "..", type: "5" }))],
    says: /out of the root by "\.\."/,
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
    says: /out of the root by "\.\."/,
  },
  {
    name: "an entry below a whiteout",
    layers: [archive(tarEntry({ name: ".wh.a/b" }))],
    says: /below a whiteout/,
  },
];
