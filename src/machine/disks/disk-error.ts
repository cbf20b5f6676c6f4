import type { QmpEvent } from "../qmp/qmp.ts";

/** The host could not do what the guest asked of a disk. */
export interface DiskError {
  readonly operation: "read" | "write";
  /** In the words of the host's system; QEMU means them for people. */
  readonly reason: string;
  /** No space is left: QEMU holds the guest, and does the same again when it is told to go on. Else the guest is told of an error. */
  readonly held: boolean;
}

/** @returns null for an event about something else. QEMU's QAPI, `BLOCK_IO_ERROR` */
export function diskErrorOf({ name, data }: QmpEvent): DiskError | null {
  if (name !== "BLOCK_IO_ERROR") return null;
  const reason = data["reason"];
  return {
    operation: data["operation"] === "read" ? "read" : "write",
    reason: typeof reason === "string" ? reason : "an I/O error",
    held: data["action"] === "stop",
  };
}
