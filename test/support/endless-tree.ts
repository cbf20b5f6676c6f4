// Writes files into a directory, small ones and large ones, until it is killed. Tells its parent of each large one that is half there.
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { partialPrefix } from "../../src/host/tree/partial-names.ts";
import { TreeWriter } from "../../src/host/tree/tree-writer.ts";
import { entry, file } from "./tree-support.ts";

const place = process.argv[2] ?? "";
const writer = await TreeWriter.open(place);
const half = { type: "data", bytes: Buffer.alloc(300_000, 1) } as const;

/** Whether a part of a large file is on the disk, and not under its name. */
async function isHalfThere(): Promise<boolean> {
  const partial = (await readdir(place)).filter((name) => name.startsWith(partialPrefix));
  const sizes = partial.map((name) =>
    stat(join(place, name)).then(
      ({ size }) => size,
      () => 0,
    ),
  );
  return (await Promise.all(sizes)).some((size) => size > 5000);
}

for (let index = 0; ; index++) {
  for (let small = 0; small < 20; small++) {
    await writer.write(file(`small-${index}-${small}`, "s".repeat(5000)));
  }
  await writer.write([entry(`large-${index}`, "file", { size: 600_000 }), half]);
  while (!(await isHalfThere())) await new Promise((resolve) => setImmediate(resolve));
  process.send?.("half");
  // Long enough to be killed here, and a different place each time.
  for (let wait = 0; wait < 200; wait++) await new Promise((resolve) => setImmediate(resolve));
  await writer.write([half]);
}
