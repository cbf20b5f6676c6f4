import { GuestFlushes, PausedCallsKinds } from "../../../config/enums.ts";
import { defineBulkCommand } from "../../bulk-command.ts";
import { value } from "../../grammar/command.ts";
import { oneOf } from "../../values/simple.ts";

export const pause = defineBulkCommand({
  name: "pause",
  summary: "Hold the machines of running sandboxes",
  details: "Their memory stays and they take no processor time. msb resume lets them go on where they were.",
  examples: ["msb pause demo", "msb pause --calls wake demo"],
  options: {
    calls: value({
      placeholder: "WHAT",
      choices: PausedCallsKinds,
      description: "What becomes of commands meanwhile: they fail (the default), wait, or wake it",
      parse: oneOf(PausedCallsKinds),
    }),
    guestFlush: value({
      placeholder: "WHEN",
      choices: GuestFlushes,
      description: "required: have everything written to the disks first; auto and skip leave it in memory",
      parse: oneOf(GuestFlushes),
    }),
  },
  doing: "Pausing",
  done: "Paused",
  act: async (sandboxes, name, { calls, guestFlush }) => {
    await (await sandboxes.get(name)).pause({ calls, guestFlush });
  },
});
