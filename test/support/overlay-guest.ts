import {
  readlinkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { setImmediate } from "node:timers/promises";
import { HeldDirectory } from "../../src/host/contained/held-directory.ts";
import { applyLayer, type AppliedResult } from "../../src/overlay/apply-layer.ts";
import { discardLayer } from "../../src/overlay/discard-layer.ts";
import { readRecords } from "../../src/overlay/journal.ts";
import { layerAt, type LayerPaths } from "../../src/overlay/layer-paths.ts";
import { walkLayer, type LayerChange } from "../../src/overlay/layer-walk.ts";
import type { ServedPath } from "../../src/file-server/options.ts";

export { setattrFlags } from "../../src/file-server/fuse/numbers.ts";

import { fields, texts } from "./fuse-kernel.ts";
import { ServedDirectory } from "./served-directory.ts";

const root = 1;
const writeOnly = 1;
const readWrite = 2;
const truncate = 0o1000;

/** A guest's kernel over a directory of the host's with a layer, by paths. */
export class OverlayGuest implements Disposable {
  readonly host: string;
  readonly layer: LayerPaths;
  readonly #options: Partial<ServedPath>;
  kernel: ServedDirectory;

  constructor(
    t: TestContext,
    options: Partial<ServedPath> = {},
    fill: (host: string) => void = () => undefined,
  ) {
    const top = realpathSync(mkdtempSync(join(tmpdir(), "msb-overlay-")));
    this.host = join(top, "host");
    this.layer = layerAt(join(top, "layer"));
    mkdirSync(this.host);
    mkdirSync(this.layer.directory);
    fill(this.host);
    this.#options = options;
    this.kernel = this.#serve();
    t.after(() => {
      this.kernel[Symbol.dispose]();
      rmSync(top, { recursive: true, force: true });
    });
  }

  #serve(): ServedDirectory {
    return new ServedDirectory(this.host, { layer: this.layer.directory, ...this.#options });
  }

  /** As after a stop and a start, or a kill: nothing is remembered but what is on the disk. */
  restart(): void {
    this.kernel[Symbol.dispose]();
    this.kernel = this.#serve();
  }

  node(path: string): number {
    let id = root;
    for (const name of path.split("/").filter((part) => part !== "")) id = this.kernel.lookup(id, name).id;
    return id;
  }

  /** The node of the directory, and the name in it. */
  at(path: string): [parent: number, name: string] {
    const names = path.split("/");
    const name = names.pop() ?? "";
    return [this.node(names.join("/")), name];
  }

  read(path: string): string {
    const node = this.node(path);
    const handle = this.kernel.open(node);
    const text = this.kernel.read(node, handle, 0, 65_536).toString();
    this.kernel.release(node, handle);
    return text;
  }

  write(path: string, text: string): void {
    const node = this.node(path);
    const handle = this.kernel.open(node, writeOnly | truncate);
    this.kernel.write(node, handle, text);
    this.kernel.release(node, handle);
  }

  append(path: string, text: string): void {
    const node = this.node(path);
    const { size } = this.kernel.attributes(node);
    const handle = this.kernel.open(node, readWrite);
    this.kernel.write(node, handle, text, size);
    this.kernel.release(node, handle);
  }

  create(path: string, text = ""): void {
    const { id, handle } = this.kernel.create(...this.at(path));
    if (text !== "") this.kernel.write(id, handle, text);
    this.kernel.release(id, handle);
  }

  mkdir(path: string): void {
    this.kernel.mkdir(...this.at(path));
  }

  symlink(path: string, target: string): void {
    const [parent, name] = this.at(path);
    this.kernel.must("symlink", parent, texts(name, target));
  }

  /** @returns 0, or the number of an error */
  unlink(path: string): number {
    const [parent, name] = this.at(path);
    this.kernel.ask("lookup", parent, texts(name));
    return this.kernel.ask("unlink", parent, texts(name)).errno;
  }

  /** @returns 0, or the number of an error */
  rmdir(path: string): number {
    const [parent, name] = this.at(path);
    this.kernel.ask("lookup", parent, texts(name));
    return this.kernel.ask("rmdir", parent, texts(name)).errno;
  }

  /** As `rm -r` does. */
  removeTree(path: string): void {
    for (const name of this.list(path)) {
      const inner = `${path}/${name}`;
      const [parent, last] = this.at(inner);
      if ((this.kernel.lookup(parent, last).mode & 0o170000) === 0o040000) this.removeTree(inner);
      else this.unlink(inner);
    }
    this.rmdir(path);
  }

  /** @returns 0, or the number of an error */
  rename(from: string, to: string, flags = 0): number {
    const [oldParent, oldName] = this.at(from);
    const [newParent, newName] = this.at(to);
    for (const [parent, name] of [
      [oldParent, oldName],
      [newParent, newName],
    ] as const)
      this.kernel.ask("lookup", parent, texts(name));
    const body = Buffer.concat([fields([64, newParent], [32, flags], [32, 0]), texts(oldName, newName)]);
    return this.kernel.ask("rename2", oldParent, body).errno;
  }

  list(path = "", plus = false): string[] {
    return this.kernel
      .list(this.node(path), plus)
      .filter((name) => name !== "." && name !== "..")
      .sort();
  }

  /** `A path`, `C path`, `D path`, with a `!` for a conflict. */
  async changes(below = ""): Promise<string[]> {
    return (await this.found(below)).map(({ kind, path, conflicts }) => {
      return `${kind.slice(0, 1).toUpperCase()}${conflicts ? "!" : ""} ${path}`;
    });
  }

  async found(below = "", signal?: AbortSignal): Promise<LayerChange[]> {
    return await this.#with(async ({ files, host, records }) => {
      const changes: LayerChange[] = [];
      for await (const found of walkLayer(files, host, records.root, { below, signal }))
        if (found.event === "change") changes.push(found.change);
      return changes;
    });
  }

  async apply(
    chooses: (change: LayerChange) => boolean = () => true,
    signal?: AbortSignal,
    progressed: (change: LayerChange) => void = () => undefined,
  ): Promise<AppliedResult> {
    return await this.#with(async ({ records, ...sides }) =>
      applyLayer({ ...sides, records: records.root, chooses, signal, progressed }),
    );
  }

  /** To be followed by {@link restart}. */
  async discard(chooses: (change: LayerChange) => boolean = () => true): Promise<number> {
    return await this.#with(async (sides) => discardLayer({ ...sides, chooses, signal: undefined }));
  }

  async #with<T>(
    use: (sides: {
      layer: LayerPaths;
      files: HeldDirectory;
      host: HeldDirectory;
      records: Awaited<ReturnType<typeof readRecords>>;
    }) => Promise<T>,
  ): Promise<T> {
    await using files = await HeldDirectory.open(this.layer.files);
    await using host = await HeldDirectory.open(this.host);
    return await use({ layer: this.layer, files, host, records: await readRecords(this.layer) });
  }

  [Symbol.dispose](): void {
    this.kernel[Symbol.dispose]();
  }
}

/** All that can be seen of a directory: names, kinds, modes, owners, times, contents. */
export function snapshot(directory: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const path of ["", ...readdirSync(directory, { recursive: true, encoding: "latin1" })].sort()) {
    const at = Buffer.concat([Buffer.from(`${directory}/`), Buffer.from(path, "latin1")]);
    const { mode, uid, gid, ino, size, mtimeNs, ctimeNs, nlink } = lstatSync(at, { bigint: true });
    const isFile = (mode & 0o170000n) === 0o100000n;
    const isLink = (mode & 0o170000n) === 0o120000n;
    const content = isFile ? readFileSync(at, "latin1") : isLink ? readlinkSync(at) : "";
    found[path] = [mode, uid, gid, ino, size, mtimeNs, ctimeNs, nlink, content].join(" ");
  }
  return found;
}

/** Resolves when a file that the host has written is old enough that a further change shows in its times. */
export async function settled(...paths: readonly string[]): Promise<void> {
  for (const path of paths) {
    const { ctimeMs } = lstatSync(path);
    while (Date.now() - ctimeMs < 40) await setImmediate();
  }
}
