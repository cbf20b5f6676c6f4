import { InvalidConfigError } from "../../errors/index.ts";
import { acceleratorFromEnvironment } from "../../host/process/environment-settings.ts";
import { withLock } from "../../host/locks/lock.ts";
import { hostAccelerators, type HostAccelerator } from "./host-accelerators.ts";
import type { QemuBinary } from "../qemu/qemu-binary.ts";
import type { Accelerator, GuestKernel } from "../types.ts";
import { Verdicts, type Verdict } from "./verdicts.ts";

/**
 * How long the first boot on hardware may take to the agent's first frame. A working accelerator needs about one
 * second, software emulation about four; a KVM that only pretends to work does not get there in minutes.
 */
const probeDeadlineMs = 10_000;

/** After this long without an outcome the next start may try: whoever tried is stuck. */
const probeAbandonedMs = probeDeadlineMs + 10_000;

/** What to boot with. */
export interface AcceleratorChoice {
  readonly accelerator: Accelerator;
  /** One sentence for a person. */
  readonly why: string;
  /** Set when nobody knows yet whether a guest boots with it: report what happens, exactly once. */
  readonly probe: AcceleratorProbe | null;
}

/** A boot that finds out whether an accelerator works. All other starts that want to know wait for its outcome. */
export interface AcceleratorProbe {
  /** From the start of the machine to the agent's first frame, in milliseconds. */
  readonly deadlineMs: number;
  /** The agent has spoken. */
  succeeded(): Promise<void>;
  /**
   * The deadline has passed or QEMU has ended.
   *
   * @param reason one clause for a person, such as "the guest did not start within 10 s"
   * @returns what to boot with instead
   */
  failed(reason: string): Promise<AcceleratorChoice>;
  /** The boot ended for a reason that says nothing about the accelerator: the user stopped it, the kernel panicked. */
  abandoned(): Promise<void>;
}

/**
 * Chooses what runs the guest: hardware where it works, else software. `MSB_ACCEL` (kvm, hvf, tcg or auto) overrides.
 *
 * That the hardware can be opened does not mean that it works, so its first boot is a probe; the verdict is
 * remembered per boot of the host, QEMU and kernel in `<cacheDirectory>/accelerator.json`.
 *
 * While another start on this host tries the hardware, this one waits for its outcome, at most 20 s.
 *
 * @param options.candidates what this host has; found out when missing
 * @throws InvalidConfigError when `MSB_ACCEL` names something else, or something this host does not have
 */
export async function chooseAccelerator(
  home: { readonly cacheDirectory: string },
  qemu: QemuBinary,
  kernel: GuestKernel,
  options: { readonly candidates?: readonly HostAccelerator[] } = {},
): Promise<AcceleratorChoice> {
  const candidates = options.candidates ?? (await hostAccelerators());
  const found = await assess(home, qemu, kernel, candidates);
  if (typeof found !== "string") return found;
  return await probeUnderLock(new Verdicts(home.cacheDirectory, qemu, kernel), found);
}

/**
 * The same, as long as nothing has to be tried.
 *
 * @returns null when nobody knows yet whether the hardware works
 * @throws InvalidConfigError as {@link chooseAccelerator}
 */
export async function settledAccelerator(
  home: { readonly cacheDirectory: string },
  qemu: QemuBinary,
  kernel: GuestKernel,
  candidates: readonly HostAccelerator[],
): Promise<AcceleratorChoice | null> {
  const found = await assess(home, qemu, kernel, candidates);
  return typeof found === "string" ? null : found;
}

/** @returns the name of an accelerator when nobody knows yet whether it works */
async function assess(
  home: { readonly cacheDirectory: string },
  qemu: QemuBinary,
  kernel: GuestKernel,
  candidates: readonly HostAccelerator[],
): Promise<AcceleratorChoice | Accelerator> {
  const requested = acceleratorFromEnvironment();
  if (requested !== "auto") return override(requested, candidates);
  const hardware = candidates.find((candidate) => candidate.accelerator !== "tcg");
  if (hardware === undefined) return software("this system has no hardware acceleration that QEMU can use");
  if (!hardware.usable) return software([`${hardware.detail}.`, hardware.fix].join(" ").trim());

  const verdict = await rememberedVerdict(home, qemu, kernel, hardware.accelerator);
  return verdict === null ? hardware.accelerator : follow(verdict);
}

/**
 * What is known about an accelerator from earlier boots, for `doctor`; null when it has not been tried.
 */
export function rememberedVerdict(
  home: { readonly cacheDirectory: string },
  qemu: QemuBinary,
  kernel: GuestKernel,
  accelerator: Accelerator,
): Promise<Verdict | null> {
  return new Verdicts(home.cacheDirectory, qemu, kernel).find(accelerator);
}

function override(requested: Accelerator, candidates: readonly HostAccelerator[]): AcceleratorChoice {
  const candidate = candidates.find(({ accelerator }) => accelerator === requested);
  if (candidate?.usable === true)
    return { accelerator: requested, why: "MSB_ACCEL asks for it", probe: null };
  throw new InvalidConfigError(
    `MSB_ACCEL asks for ${requested}, but ${candidate?.detail ?? "this system does not have it"}`,
    {
      hint: [candidate?.fix, "Unset MSB_ACCEL to use what works."].filter(Boolean).join(" "),
    },
  );
}

function software(why: string): AcceleratorChoice {
  return { accelerator: "tcg", why, probe: null };
}

function follow(verdict: Verdict): AcceleratorChoice {
  const { accelerator, works, reason, at } = verdict;
  if (works) return { accelerator, why: `${accelerator} works on this host (tried ${at})`, probe: null };
  return software(`${accelerator} does not work on this host (tried ${at}): ${reason}`);
}

/** Waits for a probe that is under way; when there is none, or it had no outcome, the caller's boot is the probe. */
async function probeUnderLock(verdicts: Verdicts, accelerator: Accelerator): Promise<AcceleratorChoice> {
  await verdicts.prepareDirectory();
  const choice = Promise.withResolvers<AcceleratorChoice>();
  const holdLock = async (): Promise<void> => {
    const verdict = await verdicts.find(accelerator);
    if (verdict !== null) {
      choice.resolve(follow(verdict));
      return;
    }
    const over = Promise.withResolvers<void>();
    const timer = setTimeout(over.resolve, probeAbandonedMs);
    timer.unref();
    choice.resolve({
      accelerator,
      why: `${accelerator} has not been tried on this host yet`,
      probe: createProbe(verdicts, accelerator, over.resolve),
    });
    await over.promise;
    clearTimeout(timer);
  };
  withLock(verdicts.lockPath, holdLock).catch(choice.reject);
  return choice.promise;
}

function createProbe(verdicts: Verdicts, accelerator: Accelerator, release: () => void): AcceleratorProbe {
  const conclude = async (works: boolean, reason: string): Promise<Verdict> => {
    const verdict: Verdict = { accelerator, works, reason, at: new Date().toISOString() };
    try {
      // A verdict that cannot be written costs the next start a probe and must not cost this one its sandbox.
      await verdicts.remember(verdict).catch(() => undefined);
    } finally {
      release();
    }
    return verdict;
  };
  return {
    deadlineMs: probeDeadlineMs,
    succeeded: async () => {
      await conclude(true, "");
    },
    failed: async (reason) => follow(await conclude(false, reason)),
    abandoned: async () => release(),
  };
}
