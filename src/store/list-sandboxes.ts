import { readdir } from "node:fs/promises";
import { deepFreeze } from "../config/sandbox/sandbox-config.ts";
import { errorCode, ioError } from "../host/system-error.ts";
import type { Home } from "./home.ts";
import { KnownFiles } from "./known-files.ts";
import { findSandbox, type FoundSandbox, type SandboxReaders } from "./sandboxes.ts";
import { readRecord, type SandboxRecord } from "./sandbox-record.ts";
import { readState } from "./state.ts";

/** What the last lists of a home have read. */
interface KnownHome {
  readonly directory: string;
  readonly readers: SandboxReaders;
  /** Called after each list. */
  forgetOthers(): void;
}

/** Of the home that was listed last. Who lists another one in between begins anew. */
let known: KnownHome | null = null;
let listedBefore: string | null = null;

/**
 * All sandboxes, newest first. A directory that holds no readable sandbox is passed over.
 *
 * Who lists again and again, to show them or to wait for something, reads only the files that were written since: every file is looked
 * at each time, and so is every process. A program that lists once remembers nothing.
 *
 * @throws IoError
 */
export async function listSandboxes(home: Home): Promise<FoundSandbox[]> {
  let names: string[];
  try {
    names = await readdir(home.sandboxes);
  } catch (error) {
    if (errorCode(error) === "ENOENT") return [];
    throw ioError(`list ${home.sandboxes}`, error);
  }
  const lasting = lastingOf(home);
  const found = await Promise.all(
    names
      .filter((name) => !name.startsWith("."))
      .map((name) => findSandbox(home, name, lasting?.readers).catch(() => null)),
  );
  lasting?.forgetOthers();
  return found.filter((sandbox) => sandbox !== null).sort((a, b) => compareNewestFirst(a.record, b.record));
}

/** null the first time. */
function lastingOf({ sandboxes: directory }: Home): KnownHome | null {
  if (known?.directory === directory) return known;
  known = listedBefore === directory ? remember(directory) : null;
  listedBefore = directory;
  return known;
}

function remember(directory: string): KnownHome {
  // Frozen: many share it.
  const records = new KnownFiles(async (path) => deepFreeze(await readRecord(path)));
  const states = new KnownFiles(async (path) => deepFreeze(await readState(path)));
  return {
    directory,
    readers: { record: (path) => records.read(path), state: (path) => states.read(path) },
    forgetOthers: () => {
      records.forgetOthers();
      states.forgetOthers();
    },
  };
}

function compareNewestFirst(a: SandboxRecord, b: SandboxRecord): number {
  if (a.createdAt !== b.createdAt) return a.createdAt < b.createdAt ? 1 : -1;
  return a.name < b.name ? -1 : 1;
}
