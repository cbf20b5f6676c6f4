import { Sandbox } from "microsandbox";
import { processesOf, proportionalBytes } from "./processes.ts";
import type { Report } from "./report.ts";
import { timed } from "./statistics.ts";

/** Starts and stops: from the call to the first output of a command, stage by stage. */
export async function measureLifecycle(report: Report, runs: number): Promise<void> {
  const samples = new Map<string, number[]>();
  const note = (name: string, value: number): void => {
    const known = samples.get(name);
    if (known === undefined) samples.set(name, [value]);
    else known.push(value);
  };
  for (let run = 0; run < runs; run++) {
    const begun = performance.now();
    let last = begun;
    let stage = "stage: supervisor's own start";
    const nextStage = (name: string): void => {
      note(stage, performance.now() - last);
      last = performance.now();
      stage = `stage: ${name}`;
    };
    const sandbox = await Sandbox.builder("bench-cold")
      .image("localhost/base")
      .replace()
      .onProgress((event) => nextStage(event.stage))
      .create();
    nextStage("");
    note("create()", performance.now() - begun);
    note("first command after create()", await timed(() => sandbox.exec("echo", ["first"])));
    note("call → first command's output", performance.now() - begun);
    note("second command", await timed(() => sandbox.exec("echo", ["second"])));
    if (process.platform === "linux") {
      const { supervisor, qemu } = await processesOf("bench-cold");
      const [ofSupervisor, ofQemu] = [await proportionalBytes(supervisor), await proportionalBytes(qemu)];
      note("memory: supervisor (PSS)", ofSupervisor / 1e6);
      note("memory: QEMU (PSS)", ofQemu / 1e6);
    }
    note("stop()", await timed(() => sandbox.stop()));
    await sandbox.removePersisted();
  }
  report.section("Start and stop");
  for (const [name, values] of samples) report.figure(name, name.startsWith("memory") ? "MB" : "ms", values);
}
