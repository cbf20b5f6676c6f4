/**
 * Mutated tar archives. The same seed gives the same archives.
 *
 *     node test/support/fuzz-tar-reader.ts [seed] [rounds]
 */
import { ImageError } from "../../src/errors/index.ts";
import { TarReader } from "../../src/image/tar/reader.ts";
import { archive, pax, tarEntry } from "./tar-builder.ts";

/** Numbers from 0 to below `limit`: xorshift32. */
export function randomNumbers(seed: number): (limit: number) => number {
  let state = seed === 0 ? 1 : seed;
  return (limit) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % limit;
  };
}

const parts: readonly Buffer[] = [
  tarEntry({ name: "dir/", type: "5", mode: 0o1777 }),
  tarEntry({ name: "dir/file", data: "some content" }),
  tarEntry({ name: "dir/hard", type: "1", link: "dir/file" }),
  tarEntry({ name: "link", type: "2", link: "dir" }),
  tarEntry({ name: "link/below", data: "x".repeat(600) }),
  tarEntry({ name: "dir/.wh.file" }),
  tarEntry({ name: "dir/.wh..wh..opq" }),
  tarEntry({ name: "null", type: "3", major: 1, minor: 3 }),
  tarEntry({ name: "L", type: "L", data: `${"long/".repeat(30)}name\0` }),
  tarEntry({ name: "K", type: "K", data: "dir/file\0" }),
  pax({ path: "päx", mtime: "-3.25", size: "5", "SCHILY.xattr.user.x": "value" }),
  pax({ "GNU.sparse.map": "0,3,9000,2", "GNU.sparse.size": "20000", "GNU.sparse.name": "sparse" }),
  pax({ "GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "9000" }),
  tarEntry({ name: "five", data: "12345" }),
  tarEntry({
    name: "map",
    data: Buffer.concat([Buffer.from("1\n8000\n4\n".padEnd(512, "\0")), Buffer.from("data")]),
  }),
  tarEntry({
    name: "old",
    type: "S",
    data: "abc",
    edit: (header) => {
      header.write("ustar  \0", 257, "latin1");
      header.fill(0, 345, 512);
      header.write(`${"0".repeat(8)}100\0${"0".repeat(10)}3`, 386, "latin1");
      header.write("00000000200", 483, "latin1");
    },
  }),
  pax({ comment: "for all" }, "g"),
];

/** An archive of some of the parts with some faults, most of them behind a right checksum. */
export function mutatedArchive(random: (limit: number) => number): Buffer {
  const chosen = Array.from({ length: 1 + random(8) }, () => Buffer.from(parts[random(parts.length)] ?? ""));
  for (let count = random(4); count > 0; count--)
    mutate(chosen[random(chosen.length)] ?? Buffer.alloc(1), random);
  const whole = archive(...chosen);
  return random(6) === 0 ? whole.subarray(0, random(whole.length)) : whole;
}

const interesting = [0x00, 0x20, 0x2e, 0x2f, 0x30, 0x37, 0x38, 0x3d, 0x0a, 0x7f, 0x80, 0xff];

function mutate(part: Buffer, random: (limit: number) => number): void {
  // Half of the faults in the fields of the header that mean most: numbers, type and magic.
  const at = random(2) === 0 ? random(part.length) : (100 + random(170)) % part.length;
  for (let run = random(3); run >= 0; run--) {
    part[(at + run) % part.length] =
      random(2) === 0 ? random(256) : (interesting[random(interesting.length)] ?? 0);
  }
  if (random(10) === 0 || part.length < 512) return;
  part.fill(0x20, 148, 156);
  const sum = part.subarray(0, 512).reduce((total, byte) => total + byte, 0);
  part.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
}

export interface FuzzResult {
  readonly accepted: number;
  readonly refused: number;
}

/** @throws whatever the reader throws that is no ImageError, or an Error when it reports data out of turn */
export function fuzzTarReader(seed: number, rounds: number): FuzzResult {
  const random = randomNumbers(seed);
  let accepted = 0;
  for (let round = 0; round < rounds; round++) {
    const bytes = mutatedArchive(random);
    let left = 0;
    const reader = new TarReader({
      entry: ({ storedSize }) => (left = storedSize),
      data: ({ length }) => (left -= length),
      finish: () => {
        if (left !== 0) throw new Error(`seed ${seed}, round ${round}: ${left} bytes of data are missing`);
      },
    });
    try {
      for (let at = 0; at < bytes.length;) {
        const end = at + 1 + random(1500);
        reader.push(bytes.subarray(at, end));
        at = end;
      }
      reader.end();
      accepted++;
    } catch (error) {
      if (!(error instanceof ImageError)) throw error;
    }
  }
  return { accepted, refused: rounds - accepted };
}

if (import.meta.main) {
  const [seed = "1", rounds = "100000"] = process.argv.slice(2);
  console.log(fuzzTarReader(Number(seed), Number(rounds)));
}
