import type { Family } from "../../host/ip/address.ts";
import type { HostAccelerator } from "../../machine/accelerator/host-accelerators.ts";
import type { TrustedByGuest } from "../../guest-setup/boot-messages.ts";
import type { ServedMount } from "../../file-server/options.ts";
import type { QemuBinary } from "../../machine/qemu/qemu-binary.ts";
import type { Accelerator, Disk, GuestKernel, Share } from "../../machine/types.ts";
import type { GuestMount, Root } from "../../protocol/generated/messages.ts";

/** Raised whenever something below changes, or what QEMU's monitor is told first: the supervisor may be of another version. */
export const HANDOVER_FORMAT: number = 4;

/**
 * What whoever starts a supervisor has found out while Node comes up in it: how to start QEMU at once, where that can be done,
 * and what the sandbox's machine is made of. `handover-schema.ts` checks it at both ends.
 */
export interface Handover {
  readonly format: number;
  /** Of the guest's agent, and of whoever has written this. */
  readonly protocolVersion: number;
  readonly prelaunch: Prelaunch;
  /** null when it was not found out, or not in time: the supervisor does, and tells what is wrong. */
  readonly inputs: StartInputs | null;
}

/** A QEMU to start before anything else, or why there is none. */
export type Prelaunch = PrelaunchOrder | NoPrelaunch;

export interface NoPrelaunch {
  readonly kind: "none";
  /** One clause. */
  readonly reason: string;
}

/** How to start a QEMU that goes on from a template, and what to tell it. */
export interface PrelaunchOrder {
  readonly kind: "qemu";
  /** The program and its arguments. */
  readonly command: readonly string[];
  readonly isWatched: boolean;
  /** The file with the saved state. */
  readonly statePath: string;
  /** What QEMU's monitor is told first. */
  readonly opening: string;
  /** What the guest is told, in base64. */
  readonly bootFrames: string;
  /** Its root is filled before it boots: so it is not told to boot yet. */
  readonly isFilled: boolean;
  readonly mounts: Pick<PreparedMounts, "guest" | "served">;
  /** null: the guest has none. */
  readonly network: PreparedNetwork | null;
  readonly accelerator: Accelerator;
  readonly template: TemplateOrigin;
  /** The sandbox's upper disk, when it was made for this start; else null. */
  readonly upperPath: string | null;
}

/** What was found out about a sandbox's network. */
export interface PreparedNetwork {
  /** That the host has a way out for. */
  readonly families: readonly Family[];
  /** Whom its guest believes beside its image; null: nobody. */
  readonly trust: TrustedByGuest | null;
}

/** The template that a machine goes on from. */
export interface TemplateOrigin {
  readonly key: string;
  readonly kind: "machine" | "image";
  readonly directory: string;
  /** Of the directory. */
  readonly inode: string;
  /** What its agent said when it was saved. */
  readonly agentVersion: string;
  readonly kernelRelease: string;
  /** All of it is on the disk for certain. */
  readonly durable: boolean;
}

/** Everything that has to be found out before a sandbox's machine can be started. */
export interface StartInputs {
  readonly qemu: QemuBinary;
  readonly kernel: GuestKernel;
  readonly root: PreparedRoot;
  readonly mounts: PreparedMounts;
  /** null: the guest has none. */
  readonly network: PreparedNetwork | null;
  /** What this host can run guests with, the best first. */
  readonly candidates: readonly HostAccelerator[];
  /** The host's time stamp counter, in kHz; null when it is unknown. */
  readonly tscKhz: number | null;
  /** null while nobody knows whether the hardware works: a boot has to tell. */
  readonly accelerator: SettledAccelerator | null;
  readonly templates: TemplateUsage;
  /** Of the templates that fit, under that accelerator; null when there are none to look for, or nobody knows which. */
  readonly keys: TemplateKeys | null;
}

export interface SettledAccelerator {
  readonly accelerator: Accelerator;
  /** One sentence for a person. */
  readonly why: string;
}

/** Whether a sandbox has a part in templates. */
export type TemplateUsage =
  | {
      readonly kind: "allowed";
      /** What all templates may take on the disk. */
      readonly limitBytes: number;
    }
  | {
      readonly kind: "barred";
      /** One clause. */
      readonly reason: string;
    };

/** The keys of the templates that fit a sandbox. */
export interface TemplateKeys {
  readonly machine: string;
  /** null when the root is the sandbox's own. */
  readonly image: string | null;
}

/** A sandbox's root file system: what the machine gets for it, and what the agent makes of that. */
export interface PreparedRoot {
  readonly disks: readonly Disk[];
  readonly shares: readonly Share[];
  readonly description: Root;
  /** What a template of it would depend on; null when each root of this kind is its own. */
  readonly template: RootTemplate | null;
  /** The disk that the guest writes to, to be made unless it is there; null when there is none. */
  readonly upper: { readonly path: string; readonly sizeMib: number } | null;
}

/** What is mounted in the guest besides its root: what the machine gets for it, and what the agent makes of that. */
export interface PreparedMounts {
  readonly disks: readonly Disk[];
  /** In the order of mounting. */
  readonly guest: readonly GuestMount[];
  /** Directories and files of the host, and what a program provides, in that order, too. */
  readonly served: readonly ServedMount[];
}

/** A root that is the same for all sandboxes of an image that have not run yet. */
export interface RootTemplate {
  /** The image, for people. */
  readonly reference: string;
  /** Changes whenever the image's content or the upper's kind or size does. */
  readonly identity: string;
  /** The upper, for people. */
  readonly rootDisk: string;
  /** What the first command of a sandbox of this image most likely runs. */
  readonly programs: readonly string[];
  /** Where the sandbox's upper disk goes. */
  readonly upperPath: string;
}
