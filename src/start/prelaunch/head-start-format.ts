import type { Accelerator } from "../../machine/types.ts";
import type { TemplateRecord } from "../../store/templates/template-record.ts";

/** Raised whenever something below changes, or what QEMU's monitor is told first: the supervisor may be of another version. */
export const HEAD_START_FORMAT: number = 1;

/**
 * A QEMU that a supervisor starts before anything else, so that both come up side by side: how to start it, and what to tell it.
 * Whoever starts the supervisor finds that out while Node comes up in it. The supervisor finds out more only when this comes to
 * nothing.
 */
export interface HeadStart {
  readonly format: number;
  /** Of the guest's agent, and of whoever has written this. */
  readonly protocolVersion: number;
  /** The program and its arguments. */
  readonly command: readonly string[];
  readonly isWatched: boolean;
  /** The file with the saved state. */
  readonly statePath: string;
  /** What QEMU's monitor is told first. */
  readonly opening: string;
  /** What the guest is told, in base64. */
  readonly introduction: string;
  readonly accelerator: Accelerator;
  readonly template: TemplateOrigin;
  /** The sandbox's upper disk, when it was made for this start; else null. */
  readonly upperPath: string | null;
}

/** The template that a machine goes on from. */
export interface TemplateOrigin {
  readonly key: string;
  readonly kind: TemplateRecord["kind"];
  readonly directory: string;
  /** Of the directory. */
  readonly inode: string;
  /** What its agent said when it was saved. */
  readonly agentVersion: string;
  readonly kernelRelease: string;
  /** All of it is on the disk for certain. */
  readonly durable: boolean;
}
