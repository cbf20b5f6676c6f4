import { types } from "node:util";
import { errno, longestPath, mostForwardedData } from "../../file-server/fuse/numbers.ts";
import { Refusal } from "../../file-server/fuse/refusal.ts";
import type {
  AttributeChange,
  FileProvider,
  NewAttributes,
  ProvidedSpace,
  ProviderCall,
} from "../file-provider.ts";
import { checkedSpace, checkedStat, Lie, objectOf, shown, type CheckedStat } from "./checked-stat.ts";
import { linuxErrno } from "./linux-errors.ts";
import { mistakeIn } from "./names.ts";

/** One entry of a directory, found possible. */
export interface CheckedEntry {
  readonly name: string;
  /** null: it was not told. */
  readonly stat: CheckedStat | null;
}

const mostEntries = 1_000_000;

/**
 * A provider as it is called: whatever it throws becomes a {@link Refusal}, and so does what it answers that cannot be. The host hears
 * of what is no error of a file system.
 */
export class CheckedProvider {
  readonly #files: FileProvider;
  readonly #tell: (error: Error, operation: string, path: string) => void;

  constructor(files: FileProvider, tell: (error: Error, operation: string, path: string) => void) {
    this.#files = files;
    this.#tell = tell;
  }

  has(method: keyof FileProvider): boolean {
    return this.#files[method] !== undefined;
  }

  stat(path: string, call: ProviderCall): Promise<CheckedStat> {
    return this.#call("stat", path, call, async () => checkedStat(await this.#files.stat(path, call)));
  }

  list(path: string, call: ProviderCall): Promise<readonly CheckedEntry[]> {
    return this.#call("list", path, call, async () => {
      const { entries, mistake } = checkedEntries(await this.#files.list(path, call));
      if (mistake !== null && !call.signal.aborted) this.#tell(mistake, "list", path);
      return entries;
    });
  }

  read(path: string, offset: number, length: number, call: ProviderCall): Promise<Uint8Array> {
    return this.#call("read", path, call, async () => {
      const bytes: unknown = await this.#files.read(path, offset, length, call);
      if (!types.isUint8Array(bytes)) throw new Lie(`read() has told ${shown(bytes)}, no Uint8Array`);
      if (bytes.length > length)
        throw new Lie(`read() has told ${bytes.length} bytes where ${length} were asked for`);
      return bytes;
    });
  }

  readLink(path: string, call: ProviderCall): Promise<Buffer> {
    return this.#call("readLink", path, call, async () => {
      if (!this.has("readLink")) throw new Lie("there is a link, and no readLink()");
      const target: unknown = await this.#files.readLink?.(path, call);
      if (typeof target !== "string" || target === "" || target.includes("\0") || !target.isWellFormed())
        throw new Lie(`readLink() has told ${shown(target)}, which is no path`);
      const bytes = Buffer.from(target);
      if (bytes.length > longestPath) throw new Lie(`readLink() has told ${bytes.length} bytes`);
      return bytes;
    });
  }

  write(path: string, offset: number, bytes: Uint8Array, call: ProviderCall): Promise<void> {
    return this.#change("write", path, call, (files) => files.write?.(path, offset, bytes, call));
  }

  create(path: string, attributes: NewAttributes, call: ProviderCall): Promise<void> {
    return this.#change("create", path, call, (files) => files.create?.(path, attributes, call));
  }

  mkdir(path: string, attributes: NewAttributes, call: ProviderCall): Promise<void> {
    return this.#change("mkdir", path, call, (files) => files.mkdir?.(path, attributes, call));
  }

  symlink(target: string, path: string, attributes: NewAttributes, call: ProviderCall): Promise<void> {
    return this.#change("symlink", path, call, (files) => files.symlink?.(target, path, attributes, call));
  }

  remove(path: string, call: ProviderCall): Promise<void> {
    return this.#change("remove", path, call, (files) => files.remove?.(path, call));
  }

  removeDirectory(path: string, call: ProviderCall): Promise<void> {
    return this.#change("removeDirectory", path, call, (files) => files.removeDirectory?.(path, call));
  }

  rename(from: string, to: string, call: ProviderCall): Promise<void> {
    return this.#change("rename", from, call, (files) => files.rename?.(from, to, call));
  }

  truncate(path: string, size: number, call: ProviderCall): Promise<void> {
    return this.#change("truncate", path, call, (files) => files.truncate?.(path, size, call));
  }

  setAttributes(path: string, change: AttributeChange, call: ProviderCall): Promise<void> {
    return this.#change("setAttributes", path, call, (files) => files.setAttributes?.(path, change, call));
  }

  /** Does nothing where there is nothing to do. */
  async flush(path: string, call: ProviderCall): Promise<void> {
    if (this.has("flush")) await this.#change("flush", path, call, (files) => files.flush?.(path, call));
  }

  /** null: the provider does not know. */
  async statFs(call: ProviderCall): Promise<Required<ProvidedSpace> | null> {
    if (!this.has("statFs")) return null;
    return await this.#call("statFs", "/", call, async () => checkedSpace(await this.#files.statFs?.(call)));
  }

  /** @throws Refusal EPERM where the provider has no such method */
  async #change(
    method: keyof FileProvider,
    path: string,
    call: ProviderCall,
    work: (files: FileProvider) => Promise<void> | undefined,
  ): Promise<void> {
    if (!this.has(method)) throw new Refusal(errno.perm);
    await this.#call(method, path, call, async () => {
      await work(this.#files);
    });
  }

  async #call<T>(
    operation: keyof FileProvider,
    path: string,
    { signal }: ProviderCall,
    work: () => Promise<T>,
  ): Promise<T> {
    try {
      return await work();
    } catch (error) {
      const number = error instanceof Lie ? null : linuxErrno(error);
      // What comes of a call that nobody waits for any more is no news.
      if (number === null && !signal.aborted) this.#tell(asError(error), operation, path);
      throw new Refusal(number ?? errno.io);
    }
  }
}

/** The entries that can be: one that cannot keeps nobody from the others. What is wrong with the first of those is told. */
function checkedEntries(told: unknown): {
  readonly entries: readonly CheckedEntry[];
  readonly mistake: Lie | null;
} {
  if (!Array.isArray(told)) throw new Lie(`list() has told ${shown(told)}, no array`);
  if (told.length > mostEntries) throw new Lie(`list() has told ${told.length} entries`);
  const entries = new Map<string, CheckedEntry>();
  let mistake: Lie | null = null;
  for (const each of told as readonly unknown[]) {
    try {
      const { name, stat } = objectOf("list", each);
      const known = checkedName(name);
      if (entries.has(known)) throw new Lie(`list() has told the entry ${JSON.stringify(known)} twice`);
      // Without it there is such a name at least, and whoever asks for more gets the error.
      entries.set(known, { name: known, stat: null });
      if (stat !== undefined) entries.set(known, { name: known, stat: checkedStat(stat) });
    } catch (error) {
      if (!(error instanceof Lie)) throw error;
      mistake ??= error;
    }
  }
  return { entries: [...entries.values()], mistake };
}

function checkedName(name: unknown): string {
  const mistake = mistakeIn(name);
  if (mistake !== null) throw new Lie(mistake);
  return name as string;
}

function asError(thrown: unknown): Error {
  try {
    if (thrown instanceof Error && typeof thrown.message === "string") return thrown;
    return new Error(`a provider has thrown ${shown(thrown)}`);
  } catch {
    return new Error("a provider has thrown what cannot be looked at");
  }
}

/** More than that is asked for by no guest that keeps to what it was told. */
export const mostBytes = mostForwardedData;
