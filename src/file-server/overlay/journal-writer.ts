import { closeSync, constants, openSync, readFileSync, writeSync } from "node:fs";
import { LayerRecords, lineText, type JournalLine } from "../../overlay/layer-records.ts";

/** The records of a layer while its guest runs: each line is in the journal before it is believed. */
export class JournalWriter {
  readonly records = new LayerRecords();
  readonly #fd: number;

  /** @throws the system's error when it cannot be opened or read */
  constructor(path: string) {
    this.#fd = openSync(path, constants.O_RDWR | constants.O_APPEND | constants.O_CREAT, 0o600);
    this.records.read(readFileSync(this.#fd, "utf8"));
  }

  /** @throws the system's error when there is no room for it: nothing has happened then */
  note(line: JournalLine): void {
    const bytes = Buffer.from(lineText(line));
    const written = writeSync(this.#fd, bytes);
    if (written < bytes.length) throw Object.assign(new Error("the disk is full"), { code: "ENOSPC" });
    this.records.note(line);
  }

  close(): void {
    closeSync(this.#fd);
  }
}
