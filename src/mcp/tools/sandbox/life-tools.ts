import { Sandbox, type SandboxHandle } from "../../../api/index.ts";
import type { Outcome } from "../../call/outcome.ts";
import { redacted } from "../../call/redact.ts";
import { watchedStart } from "../../call/start-progress.ts";
import { failureOf, ToolError } from "../../call/tool-failure.ts";
import { tool, type ToolCall } from "../../call/tool.ts";
import { flag, longestWaitMs, optionalWhole, sandboxName, timeoutMs } from "../../inputs/fields.ts";
import { storedPaths } from "../../host/stored-paths.ts";
import { selected, selectedToChange, selectorFields, type Selector } from "../../inputs/selector.ts";
import { sandboxRow } from "../listings.ts";
import { stillAllowed } from "./make-tools.ts";

const list = tool({
  name: "sandbox_list",
  description: "All sandboxes of this user, newest first, or those that are selected.",
  effect: "reads",
  input: selectorFields,
  run: async (selector, { bench, signal }) => ({
    data: { sandboxes: (await selected(selector, signal)).map((handle) => sandboxRow(bench, handle)) },
  }),
});

const status = tool({
  name: "sandbox_status",
  description: "Names and status of the sandboxes that are selected; without a selection of those that run.",
  effect: "reads",
  input: selectorFields,
  run: async (selector, { signal }) => {
    const isSaid = Object.values(selector).some((value) => value !== undefined);
    const found = await selected(isSaid ? selector : { status: "running" }, signal);
    return { data: { sandboxes: found.map((handle) => ({ name: handle.name, status: handle.status })) } };
  },
});

const inspect = tool({
  name: "sandbox_inspect",
  description:
    "Everything that is known about a sandbox: settings, ports, how it was started, why the last start failed.",
  effect: "reads",
  input: { name: sandboxName },
  run: async ({ name }, { bench, signal }) => {
    const handle = await Sandbox.get(name, { signal });

    const { accelerator, startReport } = handle;
    return {
      data: {
        ...sandboxRow(bench, handle),
        accelerator,
        start: startReport,
        bootError: await handle.bootError({ signal }),
        config: redacted(JSON.parse(handle.configJson)),
      },
    };
  },
});

/** Starts one that does not run, on behalf of a call. Its paths of the host are looked at again: a guest may have changed what is there. */
export async function startAgain(
  call: ToolCall,
  handle: SandboxHandle,
  detached: boolean,
): Promise<{ readonly sandbox: Sandbox; readonly warnings: readonly string[] }> {
  const paths = await storedPaths(handle.config(), call.bench.paths);
  for (const path of paths) await call.bench.paths.checkSame(path);
  const { observer, warnings } = watchedStart(call);
  const sandbox = await (detached ? handle.startDetached(observer) : handle.start(observer));
  if (!detached) call.bench.sandboxes.add(sandbox);
  await stillAllowed(call, paths, sandbox);
  return { sandbox, warnings };
}

const start = tool({
  name: "sandbox_start",
  description:
    "Starts a sandbox that has stopped, with what is on its disk; a suspended one goes on where it was. It stops when the client goes, unless it is detached.",
  effect: "changes",
  input: { name: sandboxName, detached: flag("It goes on when the client goes.") },
  run: async ({ name, detached = false }, call): Promise<Outcome> => {
    const { sandbox, warnings } = await startAgain(
      call,
      await Sandbox.get(name, { signal: call.signal }),
      detached,
    );
    if (detached) await sandbox[Symbol.asyncDispose]();
    return { data: { name, status: "running", start: sandbox.startReport }, warnings };
  },
});

/** Does the same to several: one that fails takes no other with it. */
async function each(
  selector: Selector,
  call: ToolCall,
  work: (handle: SandboxHandle) => Promise<string>,
): Promise<Outcome> {
  const handles = await selectedToChange(selector, call.signal);
  const results = await Promise.all(
    handles.map(async (handle) => {
      try {
        return { name: handle.name, ok: true, status: await work(handle) };
      } catch (error) {
        return { name: handle.name, ok: false, error: failureOf(error, call.signal.aborted) };
      }
    }),
  );
  const [only] = results;
  // Of one that was named the failure is the call's.
  if (results.length === 1 && only?.error !== undefined && selector.name !== undefined) {
    const { code, message, hint = "", ...others } = only.error;
    throw new ToolError(code, message, hint, others);
  }
  return { data: { results } };
}

async function statusAfter(handle: SandboxHandle, { bench, signal }: ToolCall): Promise<string> {
  const found = await handle.refresh({ signal }).catch(() => null);
  if (found === null) await bench.sandboxes.forget(handle.id);
  return found?.status ?? "removed";
}

const stop = tool({
  name: "sandbox_stop",
  description: "Stops the sandboxes that are selected. Those that are ephemeral are removed by that.",
  effect: "destroys",
  input: {
    ...selectorFields,
    force: flag("End them at once: what their programs had not written is lost."),
    timeoutMs: optionalWhole(0, 600_000, "How long they may take, ms (10000); they are ended then."),
  },
  run: async ({ force = false, timeoutMs: graceMs = 10_000, ...selector }, call) =>
    await each(selector, call, async (handle) => {
      await (force
        ? handle.kill({ signal: call.signal })
        : handle.stopWithTimeout(graceMs, { signal: call.signal }));
      return await statusAfter(handle, call);
    }),
});

const remove = tool({
  name: "sandbox_remove",
  description: "Removes the sandboxes that are selected, with all that is in them.",
  effect: "destroys",
  input: { ...selectorFields, force: flag("Those that run, too: they are stopped before.") },
  run: async ({ force = false, ...selector }, call) =>
    await each(selector, call, async (handle) => {
      await (force ? handle.destroy({ signal: call.signal }) : handle.remove({ signal: call.signal }));
      await call.bench.sandboxes.forget(handle.id);
      return "removed";
    }),
});

const drain = tool({
  name: "sandbox_drain",
  description: "The sandboxes that are selected take no new commands, and stop when the last one has ended.",
  effect: "changes",
  input: selectorFields,
  run: async (selector, call) =>
    await each(selector, call, async (handle) => {
      await handle.requestDrain({ signal: call.signal });
      return await statusAfter(handle, call);
    }),
});

const wait = tool({
  name: "sandbox_wait",
  description: "Waits until a sandbox has ended, and tells how.",
  effect: "reads",
  input: { name: sandboxName, timeoutMs },
  run: async ({ name, timeoutMs: limitMs = longestWaitMs }, { signal }) => {
    const handle = await Sandbox.get(name, { signal });
    return { data: await handle.waitUntilStopped({ signal, timeoutMs: limitMs }) };
  },
});

export const lifeTools = [list, status, inspect, start, stop, remove, drain, wait];
