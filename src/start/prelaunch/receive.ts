import type { SpawnedQemu } from "../../machine/qemu/spawn.ts";
import { PROTOCOL_VERSION } from "../../protocol/generated/messages.ts";
import type { PrelaunchOrder, StartInputs } from "../contract/handover.ts";
import { checkEnvelope, checkInputs, HandoverError, type Envelope } from "../contract/handover-schema.ts";
import type { Inherited, PrelaunchedQemu } from "./prelaunch-qemu.ts";

/** What a supervisor was told, found valid, and what it has started already. */
export interface Received {
  readonly prelaunch: RunningPrelaunch | RefusedPrelaunch;
  /** What was found out for the start, as it was said; null when nothing was, or nothing that can be used. */
  readonly inputs: unknown;
}

/** A QEMU that runs as it was ordered. */
export interface RunningPrelaunch extends PrelaunchedQemu {
  readonly order: PrelaunchOrder;
}

/** There is no QEMU to go on with. */
export interface RefusedPrelaunch {
  readonly kind: "none";
  /** One clause. */
  readonly reason: string;
  /** What was told is not what it has to be. */
  readonly isFault: boolean;
  /** A QEMU that runs all the same. */
  readonly stray: SpawnedQemu | null;
  /** A disk that was made for nothing. */
  readonly strayUpper: string | null;
}

/**
 * Checks what came through the pipe.
 *
 * @param upperPath of the sandbox: no other file is ever taken for its disk, whatever was said
 */
export function receive({ rawHandover, qemu }: Inherited, upperPath: string): Received {
  const stray = qemu.kind === "running" ? qemu.spawned : null;
  const refuse = (reason: string, isFault: boolean): Received => {
    const strayUpper = rawUpperPath(rawHandover) === upperPath ? upperPath : null;
    return { inputs: null, prelaunch: { kind: "none", reason, isFault, stray, strayUpper } };
  };
  if (rawHandover === null) return refuse(qemu.kind === "none" ? qemu.reason : "", false);
  if (qemu.kind === "none" && qemu.isOtherVersion) return refuse(qemu.reason, false);
  let handover: Envelope;
  try {
    handover = checkEnvelope(rawHandover);
  } catch (error) {
    return refuse(`what was handed over is not valid: ${(error as Error).message}`, true);
  }
  const { protocolVersion, prelaunch: order, inputs } = handover;
  // Another version of this package was installed a moment ago.
  if (protocolVersion !== PROTOCOL_VERSION)
    return refuse(`it was handed over for version ${protocolVersion} of the protocol`, false);
  if (order.kind === "none") {
    return {
      inputs,
      prelaunch: { kind: "none", reason: order.reason, isFault: false, stray, strayUpper: null },
    };
  }
  if (order.upperPath !== null && order.upperPath !== upperPath) {
    return refuse(`the disk that was handed over, ${order.upperPath}, is not the sandbox's`, true);
  }
  // What it was to be started with is not as it was told.
  if (qemu.kind === "none") return refuse(qemu.reason, false);
  return { inputs, prelaunch: { ...qemu, order } };
}

/**
 * Checks what was found out for the start: only now, when it is needed.
 *
 * @param upperPath of the sandbox, as for {@link receive}: what is said to be its disk is made, and removed
 * @throws HandoverError when it is not what it has to be
 */
export function handedOverInputs({ inputs }: Received, upperPath: string): StartInputs | null {
  const handedOver = checkInputs(inputs);
  const { upper, template } = handedOver?.root ?? { upper: null, template: null };
  for (const [place, path] of [
    ["upper.path", upper?.path],
    ["template.upperPath", template?.upperPath],
  ] as const) {
    if (path !== undefined && path !== upperPath)
      throw new HandoverError(`inputs.root.${place}: ${path} is not the sandbox's disk`);
  }
  return handedOver;
}

function rawUpperPath(rawHandover: unknown): unknown {
  const { prelaunch } = (rawHandover ?? {}) as {
    readonly prelaunch?: { readonly upperPath?: unknown } | null;
  };
  return prelaunch?.upperPath;
}
