import type { Base } from "./base.ts";

/** What is known of one path, whose names are one character for each byte. */
export interface LayerRecord {
  /** What the host had there when the guest changed it for the first time; null: nothing. */
  base: Base | null;
  /** The guest has deleted what the host has there, and does not see it. */
  isHidden: boolean;
  /** State of the layer's file that was applied; null: none was. */
  applied: string | null;
  children: Map<string, LayerRecord> | null;
}

/**
 * One line of a journal.
 *
 * - `base`: the guest has changed what the host has at this path, which was so.
 * - `hide`: it has deleted it. Without a base what was known before stays.
 * - `applied`: the host has what the layer had (`mark`), and that is the new base. With the mark {@link gone}, it has nothing there any
 *   more, so that nothing is left to be hidden, or known, of what it had.
 */
export type JournalLine =
  | readonly ["base", path: string, base: Base]
  | readonly ["hide", path: string, base: Base | null]
  | readonly ["applied", path: string, base: Base | null, mark: string];

/** The mark of an applied deletion. It is what no file's mark ever is. */
export const gone = "-";

/**
 * What a layer has beside its files, by path: each line that is noted is also in the journal. A line is one write at the journal's
 * end, made before what it tells of can be seen, and the last one of a path counts: so whoever dies between two of them leaves a layer
 * in which a change may count as a conflict, and never one that hides a change of the host's.
 *
 * It grows with what the guest has changed and deleted of the host's files, by some 250 bytes each, and not with how often.
 */
export class LayerRecords {
  readonly root: LayerRecord = emptyRecord();

  /** @param path names divided by `/` */
  find(path: string): LayerRecord | undefined {
    let record: LayerRecord | undefined = this.root;
    if (path === "") return record;
    for (const name of path.split("/")) {
      record = record.children?.get(name);
      if (record === undefined) return undefined;
    }
    return record;
  }

  note(line: JournalLine): void {
    const [kind, path, base] = line;
    const record = this.#make(path);
    if (kind === "applied" && line[3] === gone) {
      Object.assign(record, emptyRecord());
      return;
    }
    if (kind !== "hide" || base !== null) record.base = base;
    if (kind === "hide") record.isHidden = true;
    if (kind !== "hide") record.applied = kind === "applied" ? line[3] : null;
  }

  /** Whether all is known already that a line of the guest's says. */
  says([kind, path, base]: JournalLine): boolean {
    const record = this.find(path);
    if (record === undefined || kind === "applied") return false;
    if (kind === "hide") return record.isHidden && (base === null || record.base === base);
    return record.base === base && record.applied === null;
  }

  /** Takes the text of a journal, or the next part of it that ends with a line. What is no line of ours was cut off. */
  read(text: string): void {
    for (const each of text.split("\n")) {
      const line = parseLine(each);
      if (line !== null) this.note(line);
    }
  }

  /** Forgets a path and all below it. */
  drop(path: string): void {
    const names = path.split("/");
    const last = names.pop() ?? "";
    this.find(names.join("/"))?.children?.delete(last);
  }

  /** As the lines of a journal that says the same. */
  *lines(): Generator<JournalLine> {
    const waiting: [path: string, record: LayerRecord][] = [["", this.root]];
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      const [path, record] = next;
      if (record.applied !== null) yield ["applied", path, record.base, record.applied];
      else if (record.base !== null && !record.isHidden) yield ["base", path, record.base];
      if (record.isHidden) yield ["hide", path, record.applied === null ? record.base : null];
      for (const [name, child] of record.children ?? []) waiting.push([below(path, name), child]);
    }
  }

  #make(path: string): LayerRecord {
    let record = this.root;
    if (path === "") return record;
    for (const name of path.split("/")) {
      record.children ??= new Map();
      let child = record.children.get(name);
      if (child === undefined) record.children.set(name, (child = emptyRecord()));
      record = child;
    }
    return record;
  }
}

export function below(path: string, name: string): string {
  return path === "" ? name : `${path}/${name}`;
}

/** A line as it is written: what was cut off before it ends with it. */
export function lineText(line: JournalLine): string {
  return `\n${JSON.stringify(line)}\n`;
}

function emptyRecord(): LayerRecord {
  return { base: null, isHidden: false, applied: null, children: null };
}

function parseLine(text: string): JournalLine | null {
  if (text === "") return null;
  try {
    const line: unknown = JSON.parse(text);
    if (!Array.isArray(line)) return null;
    const [kind, path, base, mark] = line as unknown[];
    if (typeof path !== "string" || (base !== null && typeof base !== "string")) return null;
    if (kind === "hide") return [kind, path, base];
    if (kind === "base" && base !== null) return [kind, path, base];
    return kind === "applied" && typeof mark === "string" ? [kind, path, base, mark] : null;
  } catch {
    return null;
  }
}
