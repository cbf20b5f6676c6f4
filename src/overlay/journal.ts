import { readFile } from "node:fs/promises";
import { writeFileAtomically } from "../host/files/atomic-file.ts";
import { errorCode } from "../host/system-error.ts";
import type { LayerPaths } from "./layer-paths.ts";
import { LayerRecords, lineText } from "./layer-records.ts";

/** @throws the system's error */
export async function readRecords({ journal }: LayerPaths): Promise<LayerRecords> {
  const records = new LayerRecords();
  try {
    records.read(await readFile(journal, "utf8"));
  } catch (error) {
    if (errorCode(error) !== "ENOENT") throw error;
  }
  return records;
}

/** Writes a new journal, of a layer that nobody serves. @throws IoError */
export async function writeRecords({ journal }: LayerPaths, records: LayerRecords): Promise<void> {
  await writeFileAtomically(journal, [...records.lines()].map(lineText).join(""), false);
}
