#!/usr/bin/env node
// The entry of `msb`. It imports nothing else before it knows that this Node can run the rest.
import { nodeTooOld } from "../host/node-version.ts";

const fault = nodeTooOld("msb", process.versions.node);
const argv = process.argv.slice(2);

if (fault !== null) {
  process.stderr.write(`error: ${fault.message}\n  → ${fault.hint}\n`);
  process.exitCode = 1;
} else if (argv.length === 1 && argv[0] === "--version") {
  const { packageVersion } = await import("./version.ts");
  const { exitWith, watchInterruptions } = await import("./output/interrupt.ts");
  const { out } = await import("./output/streams.ts");
  watchInterruptions();
  out(`msb ${packageVersion()}\n`);
  await exitWith(0);
} else {
  (await import("../api/setup/code-cache.ts")).useCodeCache();
  const { dispatch } = await import("./dispatch.ts");
  await dispatch(argv);
}
