// Writes files into a directory, small ones and large ones, until it is killed. Tells its parent of each large one that is half there.
import { TreeWriter } from "../../src/host/tree/tree-writer.ts";
import { entry, file } from "./tree-support.ts";

const writer = await TreeWriter.open(process.argv[2] ?? "");
const half = { type: "data", bytes: Buffer.alloc(150_000, 1) } as const;
for (let index = 0; ; index++) {
  for (let small = 0; small < 20; small++) {
    await writer.write(file(`small-${index}-${small}`, "s".repeat(5000)));
  }
  await writer.write([entry(`large-${index}`, "file", { size: 300_000 }), half]);
  process.send?.("half");
  // Long enough to be killed here, and a different place each time.
  for (let wait = 0; wait < 200; wait++) await new Promise((resolve) => setImmediate(resolve));
  await writer.write([half]);
}
