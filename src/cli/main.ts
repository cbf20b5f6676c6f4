#!/usr/bin/env node
// The entry of `msb`. It imports nothing before it knows that this Node can run the rest.
const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
const argv = process.argv.slice(2);

if (major < 22 || (major === 22 && minor < 15)) {
  process.stderr.write(
    `error: msb needs Node 22.15 or newer, this is ${process.versions.node}\n  → Install a newer Node from https://nodejs.org\n`,
  );
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

export {};
