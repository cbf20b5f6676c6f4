import { RuntimeError } from "../errors/index.ts";
import type { AgentLink, CopyIdentity } from "../agent-link/agent-link.ts";
import type { SandboxRecord } from "../store/sandbox-record.ts";
import { readCapture, type SuspensionPaths, type SuspensionRecord } from "../store/suspension.ts";
import { endedBy } from "./common/boot.ts";
import {
  unlessOver,
  type StartContext,
  type StartedMachine,
  type StartPlan,
  type StartRequest,
} from "./common/context.ts";
import { withAccelerator } from "./common/with-accelerator.ts";
import { machineFacts, type MachineFacts } from "./inputs/machine-facts.ts";
import { probeInputs, type Subject } from "./inputs/probe.ts";
import { startContinued } from "./routes/continued.ts";
import { inTime, probeMs, reportStart, type StartOutcome } from "./start.ts";

/** A guest that is ready to be somebody's. */
export interface HeldGuest {
  /** Where the copy is that it goes on from. */
  readonly paths: SuspensionPaths;
  /** Called while its processes stand still: does with its agent what is to be quick later. */
  readonly rehearse: (agent: AgentLink) => Promise<void>;
  /** Called once it is ready, and its processors stand still. Resolves, as late as it likes, with the sandbox that it is from then on. */
  readonly adopted: () => Promise<Subject>;
}

/** Of a machine that does it for the first time, on a busy host, ms. */
const rehearsalMs = 30_000;

/**
 * Starts the VM of a sandbox that nobody has yet: all but its processes, which go on when somebody has it. Its processors stand still until
 * then.
 *
 * @throws RuntimeError when there is no such copy, or this host is not as it was then; BootStartError
 */
export async function startHeld(request: StartRequest, held: HeldGuest): Promise<StartOutcome> {
  return await inTime(request, performance.now(), async (context) => {
    context.progress("prepare");
    const { paths } = held;
    const suspended = await readCapture(paths);
    if (suspended === null) throw new RuntimeError(`there is no copy of a sandbox in ${paths.directory}`);
    const nothing = (): Promise<void> => Promise.resolve();
    return await withAccelerator(context, null, async (plan) => {
      const { started } = await startContinued(plan, { suspended, paths, mayGoOn: nothing, over: nothing });
      try {
        const { machine, agent } = started;
        const open = await rehearsed(context, started, suspended, held.rehearse);
        await machine.pause();
        const subject = await context.operation.uncounted(() =>
          unlessOver(held.adopted(), machine, context.operation),
        );
        const resumed = machine.resume();
        resumed.catch(() => undefined);
        // Its processes wait until all that is theirs is there; this need not.
        const own = open === null ? null : copyOf(subject.record, suspended.source ?? "");
        if (own !== null) await unlessOver(agent.becomeCopy(own, false), machine, context.operation);
        await resumed;
        const reason = "went on from the copy of a pool";
        // Its disk has another place by now.
        const facts = (): Promise<MachineFacts> => factsOf(plan, subject);
        const outcome = reportStart(context, "continued", { started, reason }, null, facts);
        if (open === null) return { ...outcome, suspended };
        return { ...outcome, suspended: { ...suspended, open, source: null }, isToldWhose: true };
      } catch (error) {
        throw await endedBy(context, started, "build_vm", error);
      }
    });
  });
}

/** One with commands has streams that are somebody's: such a guest is taken as it is. @returns what it has open; null: it was not rehearsed */
async function rehearsed(
  { record, operation }: StartContext,
  { machine, agent }: StartedMachine,
  { open, commands }: SuspensionRecord,
  work: (agent: AgentLink) => Promise<void>,
): Promise<SuspensionRecord["open"] | null> {
  if (commands.length > 0 || open.streams.some(({ service }) => service !== "events")) return null;
  const rehearsal = agent.rehearse(open, copyOf(record, record.name), () => work(agent));
  const limit = AbortSignal.timeout(rehearsalMs);
  const { streams, ...rest } = await Promise.race([unlessOver(rehearsal, machine, operation), over(limit)]);
  return { ...rest, streams: [...streams] };
}

function copyOf({ name, config }: SandboxRecord, source: string): CopyIdentity {
  return { hostname: config.hostname, name, source, signal: 0 };
}

function over(limit: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    limit.addEventListener("abort", () => {
      reject(new RuntimeError(`the guest does not answer within ${rehearsalMs} ms`));
    });
  });
}

async function factsOf(plan: StartPlan, { home, record, paths }: Subject): Promise<MachineFacts> {
  const inputs = await probeInputs({ home, record, paths }, AbortSignal.timeout(probeMs));
  const { accelerator } = plan.choice;
  return await machineFacts({ ...inputs, record, accelerator, tscKhz: plan.tscKhz });
}
