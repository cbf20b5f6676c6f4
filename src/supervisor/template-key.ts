import { hostPlatform, processorIdentity, qemuArguments } from "../machine/index.ts";
import { PROTOCOL_VERSION } from "../protocol/messages.generated.ts";
import { smallSha256 } from "../store/index.ts";
import { machineSpec, mountMessage, type StartPlan } from "./start-context.ts";

/** Raised when what a template holds changes in a way that nothing below shows. */
const formatVersion = 1;

/**
 * The key of the machine template that fits a plan: of everything that the guest's memory and QEMU's devices depend on. What
 * stands behind the devices, and names, are left out: they may differ.
 */
export async function machineTemplateKey({ context, qemu, kernel, choice }: StartPlan): Promise<string> {
  const { record } = context;
  const spec = machineSpec({ ...fixed, context, kernel });
  const devices = qemuArguments(
    { ...spec, name: "", kernel: { ...kernel, vmlinux: "", initramfs: "" } },
    {
      platform: hostPlatform(),
      accelerator: choice.accelerator,
      // Measured anew at every boot of the host and never quite the same: it is compared where a template is used.
      tscKhz: null,
      seccomp: false,
      hostSystem: process.platform,
    },
  );
  return keyOf([
    formatVersion,
    PROTOCOL_VERSION,
    devices,
    record.config.memoryMib,
    [qemu.identity, qemu.version],
    kernel.identity,
    choice.accelerator === "tcg" ? "" : await processorIdentity(),
  ]);
}

/** The key of the image template made from a machine template; null when the root is the sandbox's own. */
export function imageTemplateKey(plan: StartPlan, machineKey: string): string | null {
  const { root, kernel } = plan;
  if (root.template === null || kernel.custom) return null;
  const { tmpSizeMib } = mountMessage(plan);
  return keyOf([machineKey, root.template.identity, root.description, tmpSizeMib]);
}

function keyOf(parts: unknown): string {
  return smallSha256(JSON.stringify(parts));
}

const fixed = { root: { disks: [], shares: [] } };
