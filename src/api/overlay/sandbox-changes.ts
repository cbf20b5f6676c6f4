import { ChangesConflictError, MicrosandboxError, PartialCopyError } from "../../errors/index.ts";
import type { Operation } from "../../host/operation.ts";
import type { WaitOptions } from "../../host/call-options.ts";
import { ioError } from "../../host/system-error.ts";
import { applyLayer } from "../../overlay/apply-layer.ts";
import { discardLayer } from "../../overlay/discard-layer.ts";
import { readRecords } from "../../overlay/journal.ts";
import { walkLayer } from "../../overlay/layer-walk.ts";
import { lockStoppedSandbox } from "../../store/sandboxes.ts";
import type { SandboxControl } from "../control/sandbox-control.ts";
import { pathText, type GuestPath } from "../fs/guest-path.ts";
import {
  changeFrom,
  pathBelow,
  Selection,
  selectionOptions,
  type ChangeSelection,
  type SandboxChange,
} from "./chosen-changes.ts";
import { OpenLayer } from "./open-layer.ts";

/** How far changes were written. */
export interface ApplyProgress {
  /** Files, directories, links and deletions. */
  readonly entries: number;
  /** Of content. */
  readonly bytes: number;
}

/** Which changes `applyChanges()` writes, and how. */
export interface ApplyChangesOptions extends WaitOptions, ChangeSelection {
  /** Find out what would be done, and what would be refused, and write nothing. */
  readonly dryRun?: boolean | undefined;
  /** Told as it goes on. */
  readonly onProgress?: ((progress: ApplyProgress) => void) | undefined;
}

/** Which changes `discardChanges()` drops. */
export interface DiscardChangesOptions extends WaitOptions, ChangeSelection {}

export const applyOptions = { ...selectionOptions, dryRun: "boolean", onProgress: "function" } as const;

const mostNamed = 1000;
const mostShown = 5;

/** @throws as `SandboxLifecycle.changes` */
export async function* readChanges(
  control: SandboxControl,
  path: GuestPath,
  operation: Operation,
): AsyncGenerator<SandboxChange, void, undefined> {
  await using layer = await OpenLayer.open(control, path, null);
  if (layer === null) return;
  try {
    const { root } = await readRecords(layer.paths);
    const { below, files, host } = layer;
    for await (const found of walkLayer(files, host, root, { below, signal: operation.signal })) {
      operation.throwIfOver();
      const change = found.event === "change" ? changeFrom(found.change, layer.below) : null;
      if (change !== null) yield change;
    }
  } catch (error) {
    throw asOurs("look for changes in", layer, error);
  }
}

/** @throws as `SandboxLifecycle.applyChanges` */
export async function applyChanges(
  control: SandboxControl,
  path: GuestPath,
  options: ApplyChangesOptions,
  operation: Operation,
): Promise<ApplyProgress> {
  await using layer = await OpenLayer.open(control, path, operation.signal);
  const selection = new Selection(layer?.below ?? "", options);
  if (layer === null) {
    selection.requireMatched();
    return { entries: 0, bytes: 0 };
  }
  try {
    const planned = await plan(layer, selection, operation);
    if (options.dryRun === true) return planned;
    return await write(layer, selection, options, operation);
  } catch (error) {
    throw asOurs("write changes to", layer, error);
  }
}

/** @throws as `SandboxLifecycle.discardChanges` */
export async function discardChanges(
  control: SandboxControl,
  path: GuestPath,
  options: DiscardChangesOptions,
  operation: Operation,
): Promise<number> {
  await using _ = await lockStoppedSandbox(control.home, control.name, control.id, "discard changes of");
  await using layer = await OpenLayer.open(control, path, operation.signal);
  const selection = new Selection(layer?.below ?? "", options);
  if (layer === null) {
    selection.requireMatched();
    return 0;
  }
  const { paths, files, host, below } = layer;
  try {
    await plan(layer, selection, operation, false);
    const records = await readRecords(paths);
    const chooses = selection.chooses.bind(selection);
    return await discardLayer({
      layer: paths,
      records,
      files,
      host,
      below,
      chooses,
      signal: operation.signal,
    });
  } catch (error) {
    throw asOurs("drop changes of", layer, error);
  }
}

/** Finds out what is meant, and that nothing of it conflicts. @throws InvalidConfigError, ChangesConflictError */
async function plan(
  layer: OpenLayer,
  selection: Selection,
  operation: Operation,
  refusesConflicts = true,
): Promise<ApplyProgress> {
  const conflicts = new Conflicts(layer.below);
  let [entries, bytes] = [0, 0];
  const { root } = await readRecords(layer.paths);
  const { below, files, host } = layer;
  for await (const found of walkLayer(files, host, root, { below, signal: operation.signal })) {
    operation.throwIfOver();
    if (found.event !== "change" || !selection.chooses(found.change)) continue;
    entries++;
    if (found.change.kind !== "deleted") bytes += found.change.size;
    if (found.change.conflicts) conflicts.add(found.change.path);
  }
  selection.requireMatched();
  if (refusesConflicts) conflicts.throwIfAny("nothing was written");
  return { entries, bytes };
}

async function write(
  layer: OpenLayer,
  selection: Selection,
  { onProgress }: ApplyChangesOptions,
  operation: Operation,
): Promise<ApplyProgress> {
  let bytes = 0;
  let last = "";
  let entries = 0;
  const result = await applyLayer({
    layer: layer.paths,
    records: (await readRecords(layer.paths)).root,
    files: layer.files,
    host: layer.host,
    below: layer.below,
    chooses: selection.chooses.bind(selection),
    signal: operation.signal,
    progressed: ({ path }, more) => {
      if (path !== last) entries++;
      last = path;
      bytes += more;
      onProgress?.({ entries, bytes });
    },
  });
  const conflicts = new Conflicts(layer.below);
  for (const path of result.conflicts) conflicts.add(path);
  conflicts.throwIfAny("the host has changed them at this moment; everything else was written");
  if (result.refusedCount > 0) {
    const refused = result.refused.map(({ path, message }) => {
      const pathBytes = asAsked(Buffer.from(path).toString("latin1"), layer.below);
      return { path: pathText(pathBytes), pathBytes, message };
    });
    const shown = refused.slice(0, mostShown).map(({ path, message }) => `${path} (${message})`);
    const rest = result.refusedCount - shown.length;
    throw new PartialCopyError(
      `apply changes to ${layer.mount.host}: not written: ${shown.join(", ")}${rest > 0 ? ` and ${rest} more` : ""}`,
      { refusedCount: result.refusedCount, refused },
      { hint: "Everything else was written. The error's refused has the paths and the reasons." },
    );
  }
  const { files, directories, symlinks, deleted } = result;
  return { entries: files + directories + symlinks + deleted, bytes: result.bytes };
}

/** Gathers conflicts, of very many the first ones. */
class Conflicts {
  readonly #below: string;
  readonly #paths: string[] = [];
  #count = 0;

  constructor(below: string) {
    this.#below = below;
  }

  add(path: string): void {
    this.#count++;
    if (this.#paths.length < mostNamed) this.#paths.push(pathText(asAsked(path, this.#below)));
  }

  throwIfAny(what: string): void {
    if (this.#count === 0) return;
    const shown = this.#paths.slice(0, mostShown).join(", ");
    const rest = this.#count - Math.min(this.#count, mostShown);
    throw new ChangesConflictError(
      `the host has changed what the guest has changed, too: ${shown}${rest > 0 ? ` and ${rest} more` : ""} (${what})`,
      { conflictCount: this.#count, conflicts: this.#paths },
      { hint: "Look at both, and apply the others with paths or filter, or discard those changes." },
    );
  }
}

/** As the caller has paths. A directory above his, which has to be made first, he has none for: it is told by its place in the mount. */
function asAsked(path: string, below: string): Buffer {
  return Buffer.from(pathBelow(path, below) ?? path, "latin1");
}

function asOurs(what: string, { mount }: OpenLayer, error: unknown): unknown {
  return error instanceof MicrosandboxError || !(error instanceof Error) || !("code" in error)
    ? error
    : ioError(`${what} ${mount.host}`, error, "userFile");
}
