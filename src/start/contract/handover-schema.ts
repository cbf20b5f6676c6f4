import * as v from "valibot";
import { HANDOVER_FORMAT, type Handover, type StartInputs } from "./handover.ts";

const count = v.pipe(v.number(), v.integer(), v.minValue(0));
const accelerator = v.picklist(["kvm", "hvf", "tcg"]);
const path = v.pipe(v.string(), v.startsWith("/"));
/** A template's: it is the name of its directory. */
const key = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/));

const origin = v.object({
  key,
  kind: v.picklist(["machine", "image"]),
  directory: path,
  inode: v.pipe(v.string(), v.digits()),
  agentVersion: v.string(),
  kernelRelease: v.string(),
  durable: v.boolean(),
});

const id = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(0xffff_ffff));

const served = v.array(
  v.variant("kind", [
    v.object({
      kind: v.literal("path"),
      path,
      isFile: v.boolean(),
      readOnly: v.boolean(),
      statVirtualization: v.picklist(["strict", "relaxed", "off"]),
      hostPermissions: v.picklist(["private", "mirror"]),
      owner: v.nullable(v.object({ uid: id, gid: id })),
      quotaBytes: v.nullable(count),
      quotaCountsAll: v.boolean(),
      layer: v.nullable(path),
    }),
    v.object({ kind: v.literal("provider"), guest: v.string(), timeoutMs: count }),
  ]),
);

const fileSystem = v.object({ serial: v.string(), fsType: v.string() });

const guest = v.array(
  v.object({
    path,
    readOnly: v.boolean(),
    noExec: v.boolean(),
    noSuid: v.boolean(),
    noDevices: v.boolean(),
    memory: v.nullable(v.object({ sizeMib: count })),
    disk: v.nullable(v.object({ fileSystem, fills: v.boolean() })),
    files: v.nullable(v.object({ isFile: v.boolean() })),
  }),
);

const network = v.nullable(
  v.object({
    families: v.array(v.picklist([4, 6])),
    trust: v.nullable(v.object({ authority: v.nullable(v.string()), hostRoots: v.array(v.string()) })),
  }),
);

const prelaunch = v.variant("kind", [
  v.object({ kind: v.literal("none"), reason: v.string() }),
  v.object({
    kind: v.literal("qemu"),
    command: v.pipe(v.array(v.string()), v.minLength(1)),
    isWatched: v.boolean(),
    statePath: path,
    opening: v.string(),
    bootFrames: v.pipe(v.string(), v.base64()),
    isFilled: v.boolean(),
    mounts: v.object({ guest, served }),
    network,
    accelerator,
    template: origin,
    upperPath: v.nullable(path),
  }),
]);

const disks = v.array(
  v.object({
    path,
    format: v.picklist(["raw", "qcow2", "vmdk"]),
    readOnly: v.boolean(),
    serial: v.string(),
  }),
);

const root = v.object({
  disks,
  shares: v.array(v.object({ path, readOnly: v.boolean() })),
  description: v.object({
    layered: v.nullable(
      v.object({ lower: fileSystem, upperSerial: v.nullable(v.string()), upperSizeMib: count }),
    ),
    shared: v.nullable(v.object({ tag: v.string() })),
    disk: v.nullable(fileSystem),
  }),
  template: v.nullable(
    v.object({
      reference: v.string(),
      identity: v.string(),
      rootDisk: v.string(),
      programs: v.array(v.string()),
      upperPath: path,
    }),
  ),
  upper: v.nullable(v.object({ path, sizeMib: count })),
});

const mounts = v.object({ disks, guest, served });

const inputs = v.object({
  qemu: v.object({
    path,
    version: v.string(),
    seccomp: v.boolean(),
    lifeline: v.variant("kind", [
      v.object({ kind: v.literal("pdeathsig"), setpriv: path }),
      v.object({ kind: v.literal("watcher") }),
    ]),
    env: v.nullable(path),
    identity: v.string(),
  }),
  kernel: v.object({
    vmlinux: path,
    initramfs: path,
    agentPath: v.nullable(path),
    custom: v.boolean(),
    identity: v.string(),
  }),
  root,
  mounts,
  network,
  candidates: v.array(v.object({ accelerator, usable: v.boolean(), detail: v.string(), fix: v.string() })),
  tscKhz: v.nullable(v.number()),
  accelerator: v.nullable(v.object({ accelerator, why: v.string() })),
  templates: v.variant("kind", [
    v.object({ kind: v.literal("allowed"), limitBytes: v.number() }),
    v.object({ kind: v.literal("barred"), reason: v.string() }),
  ]),
  keys: v.nullable(v.object({ machine: key, image: v.nullable(key) })),
});

/** A handover whose inputs nobody has looked at yet. */
export type Envelope = Omit<Handover, "inputs"> & { readonly inputs: unknown };

// The types say that they are the same as those of `handover.ts`.
const envelopeSchema: v.GenericSchema<Envelope> = v.object({
  format: v.literal(HANDOVER_FORMAT),
  protocolVersion: count,
  prelaunch,
  inputs: v.unknown(),
});
const inputsSchema: v.GenericSchema<StartInputs | null> = v.nullable(inputs);

/** What was said is no {@link Handover}. The message names the place and what is wrong there. */
export class HandoverError extends Error {}

/** Checks what is needed at once: a start with a QEMU that runs already has no use for the rest. @throws HandoverError */
export function checkEnvelope(rawHandover: unknown): Envelope {
  return check(envelopeSchema, rawHandover, "");
}

/** Checks the rest of a handover. @throws HandoverError */
export function checkInputs(rawHandover: unknown): StartInputs | null {
  return check(inputsSchema, rawHandover, "inputs.");
}

function check<T>(schema: v.GenericSchema<T>, rawHandover: unknown, prefix: string): T {
  const result = v.safeParse(schema, rawHandover);
  if (result.success) return result.output;
  const [issue] = result.issues;
  throw new HandoverError(`${prefix}${v.getDotPath(issue) ?? "all of it"}: ${issue.message}`);
}

/** As it is written to the pipe. What the other end would refuse is not said; it is told why instead. */
export function encodeHandover(handover: Handover): string {
  try {
    return JSON.stringify({ ...checkEnvelope(handover), inputs: checkInputs(handover.inputs) });
  } catch (error) {
    if (!(error instanceof HandoverError)) throw error;
    const reason = `the plan is not valid: ${error.message}`;
    return JSON.stringify({ ...handover, prelaunch: { kind: "none", reason }, inputs: null });
  }
}
