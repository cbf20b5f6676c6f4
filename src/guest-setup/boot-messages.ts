import {
  PROTOCOL_VERSION,
  type BootMessage,
  type ClockMessage,
  type GuestMount,
  type Message,
  type MountMessage,
  type Root,
  type SeedMessage,
} from "../protocol/generated/messages.ts";
import { entropy } from "../host/system/entropy.ts";
import type { SandboxRecord } from "../store/sandbox-record.ts";

/** What a guest is told about its root. */
export interface GuestRoot {
  readonly description: Root;
}

/** Randomness of a guest's own, without which none runs anything for its user. */
export function seedMessage(): SeedMessage {
  return { type: "Seed", protocolVersion: PROTOCOL_VERSION, entropy: entropy(64) };
}

/** What time it is. */
export function clockMessage(): ClockMessage {
  const now = Date.now();
  return { type: "Clock", seconds: Math.floor(now / 1000), nanoseconds: (now % 1000) * 1_000_000 };
}

/**
 * What a guest is told to mount.
 *
 * @param programs what is to be brought into its memory: of use only to the copies of one that is saved
 */
export function mountMessage(
  { config }: SandboxRecord,
  root: GuestRoot,
  programs: readonly string[] = [],
): MountMessage {
  const tmpSizeMib = Math.min(512, Math.max(1, Math.floor(config.memoryMib / 4)));
  return { type: "Mount", root: root.description, tmpSizeMib, programs: [...programs] };
}

/** What goes to the guest in one message, bytes; it may have 4 MiB. */
const longestScripts = 3 * 1024 * 1024;

/** Whether scripts go with `Boot`, as nearly all do. */
export function scriptsFit(scripts: SandboxRecord["config"]["scripts"]): boolean {
  const bytes = scripts.reduce((sum, [name, content]) => sum + Buffer.byteLength(name + content), 0);
  return bytes <= longestScripts;
}

/** What makes a guest whose root is there a sandbox. It answers Ready. */
export function bootMessage({ config }: SandboxRecord, mounts: readonly GuestMount[]): BootMessage {
  const { hostname, workdir } = config;
  const scripts = scriptsFit(config.scripts) ? config.scripts : [];
  return {
    type: "Boot",
    hostname,
    workdir: workdir ?? "",
    mounts: [...mounts],
    scripts: scripts.map(([name, content]) => ({ name, content: Buffer.from(content) })),
  };
}

/**
 * Everything a guest is told before it runs its first command, in this order.
 *
 * @param mounts what is mounted besides the root, in that order
 * @param root null when it is mounted already
 * @param isFilled something is put into its root before it boots: so `Boot` is left for later
 */
export function bootMessages(
  record: SandboxRecord,
  mounts: readonly GuestMount[],
  root: GuestRoot | null,
  isFilled = false,
): Message[] {
  // Who has mounted a root boots only when seeded again: it may be saved there, and its copies must not go on without.
  const mount = root === null ? [] : [mountMessage(record, root), seedMessage()];
  return [seedMessage(), clockMessage(), ...mount, ...(isFilled ? [] : [bootMessage(record, mounts)])];
}
