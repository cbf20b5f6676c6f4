import { useEffect } from "preact/hooks";
import type { Failure, Sample, SandboxesNews, SandboxRow } from "../../wire.ts";
import { watch } from "./live.ts";
import { Store, useStore } from "./store.ts";

/** A sandbox and what it has used lately, oldest first. */
export interface Entry {
  readonly row: SandboxRow;
  readonly samples: readonly Sample[];
}

/** Of each sandbox: three minutes. */
const mostSamples = 180;

/** Ids, newest sandbox first; null: not known yet. */
export const order: Store<readonly string[] | null> = new Store<readonly string[] | null>(null);
/** Why they cannot be listed just now. */
export const problem: Store<Failure | null> = new Store<Failure | null>(null);
const entries = new Map<string, Store<Entry>>();

/** Begins to follow all sandboxes, for as long as the page lives. */
export function followSandboxes(): void {
  watch(
    "sandboxes",
    {},
    {
      begin: () => undefined,
      news: take,
      end: () => undefined,
    },
  );
}

function take({ rows, gone, samples, all, problem: why }: SandboxesNews): void {
  if (all) problem.set(why);
  const known = new Set(rows.map(({ id }) => id));
  for (const row of rows) {
    const entry = entries.get(row.id);
    const begun = { row, samples: all ? [] : (entry?.value.samples ?? []) };
    if (entry === undefined) entries.set(row.id, new Store(begun));
    else entry.set(begun);
  }
  for (const [id, more] of Object.entries(samples)) {
    const entry = entries.get(id);
    if (entry === undefined) continue;
    const { row, samples: before } = entry.value;
    entry.set({ row, samples: [...before, ...more].slice(-mostSamples) });
  }
  for (const id of entries.keys()) if (gone.includes(id) || (all && !known.has(id))) entries.delete(id);
  if (!all && rows.length === 0 && gone.length === 0) return;
  const found = [...entries.values()].map(({ value }) => value.row);
  found.sort((a, b) => b.createdAt - a.createdAt || (a.name < b.name ? -1 : 1));
  const ids = found.map(({ id }) => id);
  if (ids.join() !== order.value?.join()) order.set(ids);
  else order.set([...ids]);
}

/** What is known of a sandbox. */
export function entryOf(id: string): Store<Entry> | null {
  return entries.get(id) ?? null;
}

const none = new Store<Entry | null>(null);

/** The sandbox with a name, now and as it changes; null: there is none. */
export function useNamed(name: string): Entry | null {
  useStore(order);
  const store = [...entries.values()].find(({ value }) => value.row.name === name);
  return useStore<Entry | null>((store as Store<Entry | null> | undefined) ?? none);
}

/** Sets the title of the window, and lets screen readers begin with the new page. */
export function useTitle(title: string): void {
  useEffect(() => {
    document.title = `${title} – microsandbox`;
  }, [title]);
}
