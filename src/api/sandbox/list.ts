import { built } from "../../config/checks.ts";
import { hasLabel } from "../../config/labels.ts";
import { checkSandboxName } from "../../config/sandbox-name.ts";
import { listSandboxes } from "../../store/list-sandboxes.ts";
import { findSandbox, type FoundSandbox } from "../../store/sandboxes.ts";
import { isUp } from "../../config/enums.ts";
import { locateHome, type Home } from "../../store/home.ts";
import { Operation, type WaitOptions } from "../../host/operation.ts";
import { encodeCursor, SandboxListBuilder, type SandboxPage } from "./list-builder.ts";
import type { SandboxMetrics } from "../metrics/metrics.ts";
import { SandboxHandle } from "./sandbox.ts";

/** All sandboxes; also a page that holds them all. */
export type ListedSandboxes = SandboxHandle[] & SandboxPage;

export async function findHandle(name: string, options: WaitOptions = {}): Promise<SandboxHandle> {
  checkSandboxName(name);
  const home = locateHome();
  return await Operation.run(`look up sandbox ${name}`, options, async (operation) => {
    return new SandboxHandle(home, await operation.wait(findSandbox(home, name)));
  });
}

export async function listHandles(options: WaitOptions = {}): Promise<ListedSandboxes> {
  const home = locateHome();
  const handles = toHandles(home, await found(home, options));
  return Object.defineProperty(handles, "sandboxes", { value: handles }) as ListedSandboxes;
}

export async function listPage(
  configure: (list: SandboxListBuilder) => SandboxListBuilder,
  options: WaitOptions = {},
): Promise<SandboxPage> {
  const { limit, after, labels } = built("listWith", configure, new SandboxListBuilder()).query();
  const home = locateHome();
  const matching = (await found(home, options)).filter(
    ({ record }) =>
      [...labels].every(([key, value]) => hasLabel(record.config.labels, key, value)) &&
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
export async function allSandboxMetrics(options: WaitOptions = {}): Promise<Record<string, SandboxMetrics>> {
  return await Operation.run("read the metrics of all sandboxes", options, (operation) =>
    metricsOfAll(operation),
  );
}

async function metricsOfAll(operation: Operation): Promise<Record<string, SandboxMetrics>> {
  const { signal } = operation;
  const running = (await listHandles({ signal })).filter(({ status }) => isUp(status));
  const samples = await Promise.all(
    running.map(async (handle) => [handle.name, await handle.metrics({ signal }).catch(() => null)] as const),
  );
  operation.throwIfOver();
  return Object.fromEntries(samples.filter((pair): pair is [string, SandboxMetrics] => pair[1] !== null));
}

async function found(home: Home, options: WaitOptions): Promise<FoundSandbox[]> {
  return await Operation.run("list the sandboxes", options, (operation) =>
    operation.wait(listSandboxes(home)),
  );
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
