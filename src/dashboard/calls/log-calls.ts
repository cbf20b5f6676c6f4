import * as v from "valibot";
import { openMarkedLog } from "../../api/logs/whole-lines.ts";
import { LogLines } from "../live/log-lines.ts";
import type { LogLine } from "../wire.ts";
import { name, type SomeCalls } from "./call.ts";

/** At most so many lines are told: the last ones. */
const mostFound = 1000;

export const logCalls: SomeCalls<"logs.search"> = {
  "logs.search": {
    args: v.strictObject({ name, text: v.pipe(v.string(), v.nonEmpty("give something to search for")) }),
    run: async ({ name, text }, signal) => {
      const log = await openMarkedLog(name);
      await using stream = await log.stream({ sources: ["all"] });
      const assembler = new LogLines();
      const wanted = text.toLowerCase();
      const found: LogLine[] = [];
      let more = 0;
      const take = (lines: readonly LogLine[]): void => {
        for (const line of lines) {
          if (!line.text.toLowerCase().includes(wanted)) continue;
          found.push(line);
          if (found.length <= mostFound) continue;
          found.shift();
          more++;
        }
      };
      for (let entry = await stream.recv({ signal }); entry !== null; entry = await stream.recv({ signal }))
        take(assembler.push(entry));
      take(assembler.end());
      return { lines: found, more };
    },
  },
};
