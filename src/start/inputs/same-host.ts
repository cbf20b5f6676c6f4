import type { SuspensionRecord } from "../../store/suspension.ts";
import { machineFacts, type MachineFacts } from "./machine-facts.ts";
import { guestTscKhz } from "./machine-spec.ts";
import { probeInputs, type Subject } from "./probe.ts";
import { clockFits } from "./template-key.ts";

/**
 * What keeps a guest from going on with a machine that is made of this.
 *
 * @param others what else is found to be different
 * @returns in words; null: nothing
 */
export function differences(
  suspended: SuspensionRecord,
  { machineKey, accelerator, qemuVersion, kernel, processor, authority, tscKhz }: MachineFacts,
  others: readonly string[] = [],
): string | null {
  const then = suspended.description;
  const found = [
    ...(then.accelerator === accelerator
      ? []
      : [`the accelerator was ${then.accelerator}, and is ${accelerator}`]),
    ...(then.qemuVersion === qemuVersion ? [] : [`QEMU was ${then.qemuVersion}, and is ${qemuVersion}`]),
    ...(then.kernel === null || then.kernel === kernel
      ? []
      : [`the guest's kernel (${then.kernelRelease}) or the agent was replaced`]),
    ...(then.processor === null || processor === null ? [] : processorWas(then.processor, processor)),
    ...(suspended.authority === authority ? [] : [authorityWas(suspended.authority, authority)]),
    ...others,
    ...(clockFits(suspended, tscKhz) ? [] : ["the clock of the host's processor is another"]),
  ];
  if (found.length > 0) return found.join("; ");
  return machineKey === suspended.machineKey
    ? null
    : "QEMU's program, or the machine that it is told to be, has changed";
}

/**
 * The same before anything is started, as far as it can be said without trying.
 *
 * @throws as {@link probeInputs}
 */
export async function whyNotHere(
  subject: Subject,
  suspended: SuspensionRecord,
  signal: AbortSignal,
): Promise<string | null> {
  const inputs = await probeInputs(subject, signal);
  if (inputs.accelerator === null) return null;
  const { accelerator } = inputs.accelerator;
  const tscKhz = guestTscKhz(accelerator, inputs.tscKhz);
  const facts = await machineFacts({ ...inputs, record: subject.record, accelerator, tscKhz });
  return differences(suspended, facts);
}

type Processor = NonNullable<MachineFacts["processor"]>;

function processorWas(then: Processor, now: Processor): string[] {
  if (then.identity === now.identity) return [];
  if (then.model !== now.model) return [`the host's processor was ${then.model}, and is ${now.model}`];
  return [`the host's processor (${now.model}) has other features or another microcode`];
}

/** @param then,now null: none */
function authorityWas(then: string | null, now: string | null): string {
  if (then === null)
    return "it was not told of the authority (msb tls) that secrets and TLS interception need now";
  if (now === null)
    return "it believes an authority (msb tls), for secrets or TLS interception that it has no more";
  return "the authority that it believes (msb tls) was replaced";
}
