/** Stages a snapshot up to a point, says so, and stands there until it is killed: `node snapshot-maker.ts DIRECTORY POINT [FROM]`. */
import { cp } from "node:fs/promises";
import { join } from "node:path";
import { stageSnapshot } from "../../src/store/snapshots/staging.ts";

const [directory = "", point = "", from = ""] = process.argv.slice(2);

async function stand(): Promise<never> {
  process.stdout.write("there\n");
  return await new Promise(() => setInterval(() => undefined, 60_000));
}

await stageSnapshot(directory, true, async (staging) => {
  if (point === "empty") await stand();
  await cp(join(from, "upper.ext4"), join(staging, "upper.ext4"));
  if (point === "copied") await stand();
  await cp(join(from, "snapshot.json"), join(staging, "snapshot.json"));
  await stand();
});
