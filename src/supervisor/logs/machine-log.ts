import type { Machine } from "../../machine/machine.ts";
import type { MachineExit } from "../../machine/types.ts";
import type { Ending } from "./exit-reason.ts";
import type { RuntimeLog } from "./runtime-log.ts";

/** QEMU's events that someone who looks for a fault wants to see. */
const troubles: readonly string[] = ["BLOCK_IO_ERROR", "GUEST_PANICKED", "MEMORY_FAILURE", "STOP"];

/** Notes what QEMU reports while a machine runs. @param isPaused that it stands still is as it should be */
export function logEvents(machine: Machine, runtimeLog: RuntimeLog, isPaused: () => boolean): void {
  machine.events.on("event", ({ name, data }) => {
    const isTrouble = troubles.includes(name) && !(name === "STOP" && isPaused());
    const level = isTrouble ? "warn" : "debug";
    runtimeLog.write(level, `QEMU reports ${name} ${JSON.stringify(data)}`);
  });
}

/** Notes how it ended, and QEMU's last words. */
export function logExit(runtimeLog: RuntimeLog, { detail, crashed }: Ending, exit: MachineExit): void {
  const how = crashed ? "crashed" : "stopped";
  runtimeLog.write(crashed ? "error" : "info", `${how}: ${detail} (${exit.detail})`);
  if (exit.qemuOutput.trim() !== "") runtimeLog.write("warn", `QEMU wrote:\n${exit.qemuOutput}`);
}
