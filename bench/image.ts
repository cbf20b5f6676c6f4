import { execFile } from "node:child_process";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { makeDebianImage, pushDebianImage } from "../test/registry/debian.ts";
import { scratch } from "../test/registry/images.ts";
import { RegistryServer } from "../test/registry/registry-server.ts";
import type { PullMeasurement } from "./image-pull.ts";
import { runProgram } from "./processes.ts";
import type { Report } from "./report.ts";
import { timed } from "./statistics.ts";

const run = promisify(execFile);
const pullProgram = fileURLToPath(new URL("image-pull.ts", import.meta.url));

/** How often a stored image is asked for in one process. */
const storedCalls = 20;

/**
 * A Debian of about 300 MB from a registry of this machine until it can be mounted, against skopeo and umoci, which make a
 * directory of it; taking turns so that both meet the same host. Then the same image when it is stored, the registry gone.
 *
 * Needs root, as umoci does, and what `scripts/setup.sh --tests` installs.
 */
export async function measureImages(report: Report, runs: number): Promise<void> {
  await using directory = await scratch();
  const image = await makeDebianImage(directory.path);
  const registry = await RegistryServer.start(directory.path);
  const reference = `${registry.host}/debian:bench`;
  const home = join(directory.path, "home");
  const megabytes = image.bytes / 1e6;
  const own: number[] = [];
  const theirs: number[] = [];
  const peaks: number[] = [];
  {
    await using _registry = registry;
    await pushDebianImage(image, reference);
    for (let turn = 0; turn < runs; turn++) {
      await rm(home, { recursive: true, force: true });
      own.push(
        await timed(async () => {
          const { peakBytes } = await pull(home, reference, "if-missing", 1);
          peaks.push(peakBytes / 1e6);
        }),
      );
      const peer = join(directory.path, "peer");
      await mkdir(peer);
      theirs.push(await timed(() => copyAndUnpack(reference, peer)));
      await rm(peer, { recursive: true });
    }
  }
  const firstCalls: number[] = [];
  const laterCalls: number[] = [];
  for (let turn = 0; turn < runs; turn++) {
    // `never` fails rather than ask, and there is nobody to be asked.
    const [first = NaN, ...later] = (await pull(home, reference, "never", storedCalls)).calls;
    firstCalls.push(first);
    laterCalls.push(...later);
  }

  report.section(`Image of ${megabytes.toFixed(0)} MB (tar), three layers, from loopback`);
  const ownTime = report.figure("pull and import, with the start of Node", "ms", own);
  const theirTime = report.figure("skopeo copy + umoci unpack", "ms", theirs);
  const rate = (ms: number): number => megabytes / (ms / 1000);
  report.figure("pull and import", "MB/s", own.map(rate));
  report.figure("skopeo copy + umoci unpack", "MB/s", theirs.map(rate));
  report.figure("memory: pull and import (RSS), highest", "MB", peaks);
  report.figure("stored image: first call of a process", "ms", firstCalls);
  report.figure("stored image: later calls", "ms", laterCalls);
  report.ratio("pull and import / skopeo + umoci, p50", ownTime.p50 / theirTime.p50);
}

async function pull(
  home: string,
  reference: string,
  policy: string,
  times: number,
): Promise<PullMeasurement> {
  const { stdout } = await run(process.execPath, [pullProgram, reference, policy, String(times)], {
    env: { ...process.env, MSB_HOME: home },
  });
  return JSON.parse(stdout) as PullMeasurement;
}

async function copyAndUnpack(reference: string, directory: string): Promise<void> {
  const layout = join(directory, "layout:image");
  await runProgram("skopeo", [
    "--insecure-policy",
    "copy",
    "--quiet",
    "--src-tls-verify=false",
    `docker://${reference}`,
    `oci:${layout}`,
  ]);
  await runProgram("umoci", ["unpack", "--image", layout, join(directory, "bundle")]);
}
