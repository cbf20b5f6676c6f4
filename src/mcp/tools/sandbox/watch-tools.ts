import * as v from "valibot";
import { allSandboxMetrics, Sandbox, type LogEntry, type LogReadOptions } from "../../../api/index.ts";
import type { Outcome } from "../../call/outcome.ts";
import { ToolError } from "../../call/tool-failure.ts";
import { tool, type ToolCall } from "../../call/tool.ts";
import { flag, given, optionalText, optionalWhole, sandboxName } from "../../inputs/fields.ts";

const sources = v.optional(
  v.pipe(
    v.array(v.picklist(["stdout", "stderr", "output", "system", "all"])),
    v.description(
      "What to read; by default what commands printed: stdout, stderr, and output of those on a terminal.",
    ),
  ),
);
const logFields = {
  name: sandboxName,
  since: optionalText("Not before: RFC 3339, such as 2026-05-01T12:00:00Z."),
  until: optionalText("Before."),
  sources,
  grep: optionalText("Only entries that contain this text."),
  sessionIds: v.optional(v.pipe(v.array(v.number()), v.description("Only of these commands."))),
};

interface Filter {
  readonly grep?: string | undefined;
  readonly sessionIds?: readonly number[] | undefined;
}

const readLogs = tool({
  name: "sandbox_logs_read",
  description: "What the commands of a sandbox have printed, whether it runs or not: the latest entries.",
  effect: "reads",
  input: { ...logFields, tail: optionalWhole(1, 10_000, "The last so many entries (200).") },
  run: async ({ name, tail = 200, since, until, sources: chosen, ...filter }, call) => {
    const handle = await Sandbox.get(name, { signal: call.signal });
    const options: LogReadOptions = given({
      since: time("since", since),
      until: time("until", until),
      sources: chosen,
    });
    const entries = (await handle.logs({ ...options, signal: call.signal })).filter((entry) =>
      isChosen(entry, filter),
    );
    return logOutcome(name, entries.slice(-tail), call, { cursor: entries.at(-1)?.cursor ?? null });
  },
});

const streamLogs = tool({
  name: "sandbox_logs_stream",
  description:
    "Entries of the log from a cursor on; with follow it waits for new ones, until limit or followTimeoutMs. Call it again with the cursor that it gives.",
  effect: "reads",
  input: {
    ...logFields,
    fromCursor: optionalText("cursor of the call before, instead of since."),
    follow: flag("Wait for more."),
    followTimeoutMs: optionalWhole(1, 300_000, "How long, ms (10000)."),
    limit: optionalWhole(1, 10_000, "Entries at most (200)."),
  },
  run: async (input, call) => {
    const {
      name,
      since,
      until,
      sources: chosen,
      fromCursor,
      follow = false,
      followTimeoutMs = 10_000,
      limit = 200,
      ...filter
    } = input;
    const handle = await Sandbox.get(name, { signal: call.signal });
    const options = given({
      since: time("since", since),
      until: time("until", until),
      sources: chosen,
      fromCursor,
    });
    await using stream = await handle.logStream({ ...options, follow, signal: call.signal });
    const over = AbortSignal.timeout(followTimeoutMs);
    const signal = AbortSignal.any([call.signal, over]);
    const entries: LogEntry[] = [];
    let cursor = fromCursor ?? null;
    let ended = false;
    try {
      while (entries.length < limit) {
        const entry = await stream.recv({ signal });
        ended = entry === null;
        if (entry === null) break;
        ({ cursor } = entry);
        if (!isChosen(entry, filter)) continue;
        entries.push(entry);
        call.progress(`${entries.length} entries`);
      }
    } catch (error) {
      if (call.signal.aborted || !over.aborted) throw error;
    }
    return logOutcome(name, entries, call, { cursor, ended });
  },
});

function isChosen(entry: LogEntry, { grep, sessionIds }: Filter): boolean {
  return (
    (grep === undefined || entry.text().includes(grep)) &&
    (sessionIds === undefined || (entry.sessionId !== null && sessionIds.includes(entry.sessionId)))
  );
}

function logOutcome(
  name: string,
  entries: readonly LogEntry[],
  { bench }: ToolCall,
  others: object,
): Outcome {
  const rows = entries.map(({ timestamp, source, sessionId, data }) => ({
    timestamp,
    source,
    sessionId,
    bytes: data,
  }));
  const most = bench.settings.maxOutputBytes;
  let bytes = 0;
  const end = rows.findIndex((row) => (bytes += row.bytes.length) > most);
  const shown = (end === -1 ? rows : rows.slice(0, end)).map(({ bytes: data, ...row }) => ({
    ...row,
    text: data.toString(),
  }));
  if (end === -1) return { data: { entries: shown, ...others } };
  const whole = Buffer.concat(rows.map((row) => row.bytes));
  const returned = rows.slice(0, end).reduce((sum, row) => sum + row.bytes.length, 0);
  const rest = bench.outputs.keepRest("entries", `log of ${name}`, whole, whole.length, returned);
  return { data: { entries: shown, ...others }, truncated: [rest] };
}

/** @throws ToolError */
function time(name: string, value: string | undefined): Date | undefined {
  if (value === undefined) return undefined;
  const date = new Date(value);
  if (!Number.isNaN(date.getTime())) return date;
  throw new ToolError("invalid_input", `${name} is no time`, "Write it as 2026-05-01T12:00:00Z.");
}

const metrics = tool({
  name: "sandbox_metrics",
  description: "Processor, memory, disk and network of a sandbox that runs.",
  effect: "reads",
  input: { name: sandboxName },
  run: async ({ name }, { bench, signal }) => ({
    data: await bench.sandboxes.use(name, signal, (sandbox) => sandbox.metrics({ signal })),
  }),
});

const metricsAll = tool({
  name: "sandbox_metrics_all",
  description: "The same of every sandbox that runs, by name.",
  effect: "reads",
  input: {},
  run: async (_input, { signal }) => ({ data: await allSandboxMetrics({ signal }) }),
});

const metricsStream = tool({
  name: "sandbox_metrics_stream",
  description: "Several samples, one after the other; fewer when the sandbox ends.",
  effect: "reads",
  input: {
    name: sandboxName,
    intervalMs: optionalWhole(100, 60_000, "ms between two (1000)."),
    samples: optionalWhole(1, 100, "How many (5)."),
  },
  run: async ({ name, intervalMs = 1000, samples: count = 5 }, call) =>
    await call.bench.sandboxes.use(name, call.signal, async (sandbox) => {
      await using stream = sandbox.metricsStream(intervalMs);
      const samples: object[] = [];
      while (samples.length < count) {
        const sample = await stream.recv({ signal: call.signal });
        if (sample === null) break;
        samples.push(sample);
        call.progress(`${samples.length} of ${count} samples`);
      }
      return { data: { name, samples } };
    }),
});

export const watchTools = [readLogs, streamLogs, metrics, metricsAll, metricsStream];
