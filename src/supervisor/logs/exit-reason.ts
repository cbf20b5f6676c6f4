import type { MachineExit } from "../../machine/types.ts";
import type { TerminationReason } from "../../store/state.ts";

/** Why a sandbox ends, as it is recorded. */
export interface Ending {
  readonly reason: TerminationReason;
  /** One line for people. */
  readonly detail: string;
  readonly crashed: boolean;
}

/** How a machine that ended by itself is recorded. */
export function endingOf(exit: MachineExit): Ending {
  switch (exit.reason) {
    case "poweroff":
      return { reason: "Completed", detail: "the guest powered off", crashed: false };
    case "reset":
      return { reason: "Completed", detail: "the guest rebooted", crashed: false };
    case "panic":
    case "killed":
    case "error":
      return { reason: "Failed", detail: exit.detail, crashed: true };
  }
}
