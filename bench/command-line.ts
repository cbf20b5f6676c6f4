import { fileURLToPath } from "node:url";
import { runProgram } from "./processes.ts";
import type { Report } from "./report.ts";
import { timed } from "./statistics.ts";

const msb = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));

/** Wanted of a command: at most so many times what Node takes to start and end. */
const wantedOfNode = 2;

/** What a command of the command line costs beyond starting Node. */
export async function measureCommandLine(report: Report, runs: number): Promise<void> {
  const lists: number[] = [];
  const nothings: number[] = [];
  for (let run = 0; run < runs; run++) {
    lists.push(await timed(() => runProgram(process.execPath, [msb, "ls"])));
    nothings.push(await timed(() => runProgram(process.execPath, ["-e", "0"])));
  }
  report.section("Command line");
  const list = report.figure("msb ls", "ms", lists);
  const nothing = report.figure("floor: node -e 0", "ms", nothings);
  report.goal("msb ls / node -e 0, p50", "×", wantedOfNode, list.p50 / nothing.p50);
}
