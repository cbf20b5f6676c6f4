import { Sandbox, type SandboxHandle, type SandboxMetrics, type SandboxStatus } from "../../api/index.ts";
import { failureOf } from "../failure.ts";
import { rowOf } from "../rows.ts";
import type { Failure, Sample, SandboxesNews, SandboxRow } from "../wire.ts";
import type { Tell } from "./feed.ts";

/** How often the sandboxes are looked at, and their metrics taken, ms. */
const intervalMs = 1000;
/** So many samples are kept for pages that come later. */
const mostSamples = 180;

/** A sandbox that is there. */
interface Watched {
  row: SandboxRow;
  /** What the row was made of: most are as they were a second ago. */
  seen: string;
  /** Oldest first. */
  readonly samples: Sample[];
  /** Ends the taking of samples; null: none are taken. */
  metrics: AbortController | null;
  /** Those that came since the last look. */
  fresh: Sample[];
}

interface Watcher {
  readonly tell: Tell<"sandboxes">;
  /** It has not taken what it was told before. */
  isBusy: boolean;
  /** It has missed something, and is told all again. */
  isBehind: boolean;
}

/**
 * All sandboxes, looked at once a second for however many pages watch them; not at all while none does.
 */
export class SandboxBoard implements Disposable {
  readonly #watched = new Map<string, Watched>();
  readonly #watchers = new Set<Watcher>();
  /** Why the latest look has failed. */
  #problem: Failure | null = null;
  #timer: NodeJS.Timeout | null = null;
  #isOver = false;

  /** Tells of the sandboxes until the signal is aborted. */
  async watch(tell: Tell<"sandboxes">, signal: AbortSignal): Promise<void> {
    const watcher: Watcher = { tell, isBusy: false, isBehind: true };
    this.#watchers.add(watcher);
    if (this.#timer === null && !this.#isOver) await this.#look();
    else this.#tell(watcher, nothingNew);
    await new Promise<void>((resolve) => {
      if (signal.aborted || this.#isOver) resolve();
      signal.addEventListener("abort", () => resolve(), { once: true });
    });
    this.#watchers.delete(watcher);
    if (this.#watchers.size === 0) this.#rest();
  }

  [Symbol.dispose](): void {
    this.#isOver = true;
    this.#rest();
  }

  /** Nobody watches. */
  #rest(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    for (const { metrics } of this.#watched.values()) metrics?.abort();
    this.#watched.clear();
  }

  async #look(): Promise<void> {
    const begun = performance.now();
    // What stands here tells the others that somebody looks already.
    this.#timer = setTimeout(() => undefined, intervalMs);
    const found = await Sandbox.list().catch(failureOf);
    if (this.#watchers.size === 0 || this.#isOver) {
      this.#rest();
      return;
    }
    const news = Array.isArray(found) ? this.#newsOf(found) : nothingNew;
    this.#setProblem(Array.isArray(found) ? null : found);
    for (const watcher of this.#watchers) this.#tell(watcher, news);
    const waitMs = Math.max(intervalMs / 10, intervalMs - (performance.now() - begun));
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#look(), waitMs);
  }

  #newsOf(handles: readonly SandboxHandle[]): SandboxesNews {
    const rows: SandboxRow[] = [];
    const samples: Record<string, readonly Sample[]> = {};
    const here = new Set<string>();
    for (const handle of handles) {
      here.add(handle.id);
      const seen = `${handle.status} ${JSON.stringify(handle.publishedPorts)}`;
      let watched = this.#watched.get(handle.id);
      if (watched?.seen !== seen) {
        const row = rowOf(handle);
        watched ??= { row, seen, samples: [], metrics: null, fresh: [] };
        Object.assign(watched, { row, seen });
        this.#watched.set(handle.id, watched);
        rows.push(row);
      }
      if (measured.has(handle.status) && watched.metrics === null) void this.#measure(handle, watched);
      if (watched.fresh.length > 0) samples[handle.id] = watched.fresh;
      watched.fresh = [];
    }
    const gone: string[] = [];
    for (const [id, { metrics }] of this.#watched) {
      if (here.has(id)) continue;
      metrics?.abort();
      this.#watched.delete(id);
      gone.push(id);
    }
    return { rows, gone, samples, all: false, problem: null };
  }

  #setProblem(problem: Failure | null): void {
    const isNew = problem?.message !== this.#problem?.message;
    this.#problem = problem;
    if (isNew) for (const watcher of this.#watchers) watcher.isBehind = true;
  }

  #tell(watcher: Watcher, news: SandboxesNews): void {
    if (watcher.isBusy) {
      watcher.isBehind = true;
      return;
    }
    const isEmpty =
      news.rows.length === 0 && news.gone.length === 0 && Object.keys(news.samples).length === 0;
    if (isEmpty && !watcher.isBehind) return;
    const told = watcher.isBehind ? this.#everything(news) : news;
    watcher.isBehind = false;
    watcher.isBusy = true;
    void watcher.tell(told).then(() => {
      watcher.isBusy = false;
    });
  }

  #everything({ gone }: SandboxesNews): SandboxesNews {
    const all = [...this.#watched.values()];
    return {
      rows: all.map(({ row }) => row),
      gone,
      samples: Object.fromEntries(all.map(({ row, samples }) => [row.id, samples])),
      all: true,
      problem: this.#problem,
    };
  }

  /** Takes samples of a sandbox until it ends, has none, or nobody watches. */
  async #measure(handle: SandboxHandle, watched: Watched): Promise<void> {
    const over = new AbortController();
    watched.metrics = over;
    const { signal } = over;
    try {
      await using sandbox = await handle.connect({ signal });
      await using stream = sandbox.metricsStream(intervalMs);
      let last: SandboxMetrics | null = null;
      for (let now = await stream.recv({ signal }); now !== null; now = await stream.recv({ signal })) {
        const sample = sampleOf(now, last);
        last = now;
        watched.samples.push(sample);
        if (watched.samples.length > mostSamples) watched.samples.shift();
        watched.fresh.push(sample);
      }
    } catch {
      // It has ended, or takes no samples: the next look tells.
    } finally {
      watched.metrics = signal.aborted ? null : new AbortController();
      // Not asked again while it is in this state.
      if (!signal.aborted) this.#forgetMetricsLater(watched);
    }
  }

  /** What has no samples to give is asked again some time later: it may have been started again meanwhile. */
  #forgetMetricsLater(watched: Watched): void {
    setTimeout(() => {
      watched.metrics = null;
    }, 2 * intervalMs).unref();
  }
}

const nothingNew: SandboxesNews = { rows: [], gone: [], samples: {}, all: false, problem: null };

/** Whose processors may turn. */
const measured: ReadonlySet<SandboxStatus> = new Set(["running", "draining", "paused"]);

function sampleOf(now: SandboxMetrics, last: SandboxMetrics | null): Sample {
  const seconds = last === null ? 0 : (now.timestampMs - last.timestampMs) / 1000;
  const rate = (key: "diskReadBytes" | "diskWriteBytes" | "netRxBytes" | "netTxBytes"): number =>
    last === null || seconds <= 0 ? 0 : Math.max(0, Math.round((now[key] - last[key]) / seconds));
  return {
    at: now.timestampMs,
    cpu: now.cpuPercent,
    memory: now.memoryBytes,
    memoryLimit: now.memoryLimitBytes,
    diskRead: rate("diskReadBytes"),
    diskWrite: rate("diskWriteBytes"),
    netIn: rate("netRxBytes"),
    netOut: rate("netTxBytes"),
    diskUsed: now.upperUsedBytes,
    diskFree: now.upperFreeBytes,
    uptimeMs: now.uptimeMs,
  };
}
