import { closeSync, constants, fstatSync, openSync, readFileSync, readSync, writeSync } from "node:fs";
import { LayerRecords, lineText, type JournalLine } from "../../overlay/layer-records.ts";

/** The records of a layer while its guest runs: each line is in the journal before it is believed. */
export class JournalWriter {
  readonly records = new LayerRecords();
  readonly #fd: number;
  /** Up to here it was read. */
  #end: number;

  /** @throws the system's error when it cannot be opened or read */
  constructor(path: string) {
    this.#fd = openSync(path, constants.O_RDWR | constants.O_APPEND | constants.O_CREAT, 0o600);
    const text = readFileSync(this.#fd);
    this.#end = text.length;
    this.records.read(text.toString());
  }

  /** Reads what somebody else has written there meanwhile, who applies changes. @throws the system's error */
  catchUp(): void {
    const { size } = fstatSync(this.#fd);
    if (size <= this.#end) return;
    const part = Buffer.alloc(size - this.#end);
    const count = readSync(this.#fd, part, 0, part.length, this.#end);
    this.#end += count;
    this.records.read(part.toString("utf8", 0, count));
  }

  /**
   * Writes a line, unless the journal says the same already: what a guest tries again and again takes no room.
   *
   * @throws the system's error when there is no room for it: nothing has happened then
   */
  note(line: JournalLine): void {
    this.catchUp();
    if (this.records.says(line)) return;
    const bytes = Buffer.from(lineText(line));
    const written = writeSync(this.#fd, bytes);
    if (written < bytes.length) throw Object.assign(new Error("the disk is full"), { code: "ENOSPC" });
    this.catchUp();
  }

  close(): void {
    closeSync(this.#fd);
  }
}
