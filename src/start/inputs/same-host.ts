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
  { machineKey, accelerator, qemuVersion, authority, tscKhz }: MachineFacts,
  others: readonly string[] = [],
): string | null {
  const then = suspended.description;
  const found = [
    ...(then.accelerator === accelerator
      ? []
      : [`the accelerator was ${then.accelerator}, and is ${accelerator}`]),
    ...(then.qemuVersion === qemuVersion ? [] : [`QEMU was ${then.qemuVersion}, and is ${qemuVersion}`]),
    ...(suspended.authority === authority ? [] : [authorityWas(suspended.authority, authority)]),
    ...others,
    ...(clockFits(suspended, tscKhz) ? [] : ["the clock of the host's processor is another"]),
  ];
  if (found.length > 0) return found.join("; ");
  return machineKey === suspended.machineKey
    ? null
    : "the guest's kernel, the agent, QEMU or its machine has changed";
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

/** @param then,now null: none */
function authorityWas(then: string | null, now: string | null): string {
  if (then === null)
    return "it was not told of the authority (msb tls) that secrets and TLS interception need now";
  if (now === null)
    return "it believes an authority (msb tls), for secrets or TLS interception that it has no more";
  return "the authority that it believes (msb tls) was replaced";
}
