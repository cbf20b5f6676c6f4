import type { TerminalDoor } from "../../ssh/client/ssh-client.ts";
import { attachToTerminal, guestTerminalType } from "../exec/attach.ts";
import { defaultDetachKeys, parseDetachKeys } from "../exec/detach-keys.ts";
import { hostTerminal, terminalSize } from "../exec/terminal.ts";

/** The terminal of this process, for an SSH client. */
export const terminalDoor: TerminalDoor = {
  size: () => ({ ...terminalSize(), type: guestTerminalType() }),
  check: (detachKeys) => {
    parseDetachKeys(detachKeys ?? defaultDetachKeys);
    hostTerminal();
  },
  attach: (operation, command, detachKeys) =>
    attachToTerminal(
      operation,
      hostTerminal(),
      parseDetachKeys(detachKeys ?? defaultDetachKeys),
      () => command,
    ),
};
