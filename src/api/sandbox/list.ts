import { checkSandboxName } from "../../config/sandbox-name.ts";
import { findSandbox, listSandboxes, type FoundSandbox } from "../../store/sandboxes.ts";
import { locateHome, type Home } from "../../store/home.ts";
import { encodeCursor, SandboxListBuilder, type SandboxPage } from "./list-builder.ts";
import type { SandboxMetrics } from "../metrics/metrics.ts";
import { SandboxHandle } from "./sandbox.ts";

/** All sandboxes; also a page that holds them all. */
export type ListedSandboxes = SandboxHandle[] & SandboxPage;

export async function findHandle(name: string): Promise<SandboxHandle> {
  checkSandboxName(name);
  const home = locateHome();
  return new SandboxHandle(home, await findSandbox(home, name));
}

export async function listHandles(): Promise<ListedSandboxes> {
  const home = locateHome();
  const handles = toHandles(home, await listSandboxes(home));
  return Object.defineProperty(handles, "sandboxes", { value: handles }) as ListedSandboxes;
}

export async function listPage(
  configure: (list: SandboxListBuilder) => SandboxListBuilder,
): Promise<SandboxPage> {
  const { limit, after, labels } = configure(new SandboxListBuilder()).query();
  const home = locateHome();
  const matching = (await listSandboxes(home)).filter(
    ({ record }) =>
      [...labels].every(([key, value]) => record.config.labels[key] === value) &&
      (after === null || comesAfter(record, after)),
  );
  const page = matching.slice(0, limit);
  const last = page.at(-1);
  const sandboxes = toHandles(home, page);
  if (last === undefined || matching.length === page.length) return { sandboxes };
  return { sandboxes, nextCursor: encodeCursor(last.record.createdAt, last.record.name) };
}

/**
 * The metrics of every running sandbox, by name.
 *
 * @example
 * ```ts
 * import { allSandboxMetrics } from "microsandbox";
 *
 * for (const [name, { memoryBytes }] of Object.entries(await allSandboxMetrics())) console.log(name, memoryBytes);
 * ```
 */
export async function allSandboxMetrics(): Promise<Record<string, SandboxMetrics>> {
  const running = (await listHandles()).filter(({ status }) => status === "running" || status === "draining");
  const samples = await Promise.all(
    running.map(async (handle) => [handle.name, await handle.metrics().catch(() => null)] as const),
  );
  return Object.fromEntries(samples.filter((pair): pair is [string, SandboxMetrics] => pair[1] !== null));
}

/** In the order of lists: newest first, then by name. */
function comesAfter(
  record: { createdAt: string; name: string },
  after: { createdAt: string; name: string },
): boolean {
  if (record.createdAt !== after.createdAt) return record.createdAt < after.createdAt;
  return record.name > after.name;
}

function toHandles(home: Home, found: readonly FoundSandbox[]): SandboxHandle[] {
  return found.map((sandbox) => new SandboxHandle(home, sandbox));
}
