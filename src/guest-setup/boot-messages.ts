import {
  PROTOCOL_VERSION,
  type BootMessage,
  type ClockMessage,
  type GuestNetwork,
  type GuestMount,
  type Message,
  type MountMessage,
  type Root,
  type SeedMessage,
} from "../protocol/generated/messages.ts";
import { linkAddresses, type LinkAddresses } from "../config/network/link-addresses.ts";
import { defaultInterface } from "../config/network/network-defaults.ts";
import { linkOf } from "../config/network/network-of.ts";
import { entropy } from "../host/system/entropy.ts";
import type { Family } from "../host/ip/address.ts";
import type { SandboxRecord } from "../store/sandbox-record.ts";

/** The guest's end of its cable, as it is unless a sandbox is told otherwise: so templates have it set up. */
export function usualNetwork(families: readonly Family[]): GuestNetwork {
  return guestNetwork(linkAddresses(defaultInterface, families));
}

function guestNetwork({ guestMac, mtu, ipv4, ipv6 }: LinkAddresses): GuestNetwork {
  return {
    mac: guestMac,
    mtu,
    addresses: [ipv4, ipv6]
      .filter((one) => one !== null)
      .map(({ guest, gateway, prefix }) => ({ address: guest.bytes, prefix, gateway: gateway.bytes })),
  };
}

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
 * @param network as it is likely to be, see `Boot`
 * @param saved what is of use only to the copies of one that is saved: what is to be brought into its memory, and whom they are to
 *   believe
 */
export function mountMessage(
  { config }: SandboxRecord,
  root: GuestRoot,
  network: GuestNetwork | null,
  saved: { readonly programs: readonly string[]; readonly trust: TrustedByGuest | null } | null = null,
): MountMessage {
  const tmpSizeMib = Math.min(512, Math.max(1, Math.floor(config.memoryMib / 4)));
  return {
    type: "Mount",
    root: root.description,
    tmpSizeMib,
    programs: [...(saved?.programs ?? [])],
    network,
    trust: trustOf(saved?.trust ?? null),
  };
}

/** What goes to the guest in one message, bytes; it may have 4 MiB. */
const longestScripts = 3 * 1024 * 1024;

/** Whether scripts go with `Boot`, as nearly all do. */
export function scriptsFit(scripts: SandboxRecord["config"]["scripts"]): boolean {
  const bytes = scripts.reduce((sum, [name, content]) => sum + Buffer.byteLength(name + content), 0);
  return bytes <= longestScripts;
}

/** Certificates in PEM that a guest believes beside its image's. */
export interface TrustedByGuest {
  /** Of what it is shown in the place of servers' own certificates; null: it is shown theirs. */
  readonly authority: string | null;
  /** What the host believes. */
  readonly hostRoots: readonly string[];
}

/** What a guest has besides its root. */
export interface Surroundings {
  /** In the order of mounting. */
  readonly mounts: readonly GuestMount[];
  /** The families that its network has, and whom it believes there; null when it has no network. */
  readonly network: { readonly families: readonly Family[]; readonly trust: TrustedByGuest | null } | null;
}

/** What makes a guest whose root is there a sandbox. It answers Ready. */
export function bootMessage(record: SandboxRecord, { mounts, network }: Surroundings): BootMessage {
  const { config } = record;
  const { hostname, workdir } = config;
  const link = linkOf(record.config, network);
  const scripts = scriptsFit(config.scripts) ? config.scripts : [];
  return {
    type: "Boot",
    hostname,
    workdir: workdir ?? "",
    mounts: [...mounts],
    scripts: scripts.map(([name, content]) => ({ name, content: Buffer.from(content) })),
    network: link === null ? null : guestNetwork(link),
    trust: trustOf(network?.trust ?? null),
  };
}

function trustOf(trust: TrustedByGuest | null): BootMessage["trust"] {
  return trust === null ? null : { ...trust, hostRoots: [...trust.hostRoots] };
}

/**
 * Everything a guest is told before it runs its first command, in this order.
 *
 * @param root null when it is mounted already
 * @param isFilled something is put into its root before it boots: so `Boot` is left for later
 */
export function bootMessages(
  record: SandboxRecord,
  surroundings: Surroundings,
  root: GuestRoot | null,
  isFilled = false,
): Message[] {
  const boot = bootMessage(record, surroundings);
  // Who has mounted a root boots only when seeded again: it may be saved there, and its copies must not go on without.
  const { network } = boot;
  const mount = root === null ? [] : [mountMessage(record, root, network), seedMessage()];
  return [seedMessage(), clockMessage(), ...mount, ...(isFilled ? [] : [boot])];
}
