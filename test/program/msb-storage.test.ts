import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { long, storeImage } from "../support/stored-image.ts";
import { stoppedSandbox } from "../support/stopped-sandbox.ts";
import { imageStore, prepareStore } from "../../src/image/store/layout.ts";
import { locateHome, prepareHome } from "../../src/store/home.ts";

const directory = mkdtempSync(join(tmpdir(), "msb-cli-storage-"));
after(() => {
  rmSync(directory, { recursive: true, force: true });
});
const home = locateHome({ MSB_HOME: directory });
const program = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));
const { NODE_TEST_CONTEXT: _context, FORCE_COLOR: _color, ...environment } = process.env;

function msb(...args: string[]): { code: number | null; stdout: string; stderr: string } {
  const env = { ...environment, MSB_HOME: directory };
  const result = spawnSync(process.execPath, [program, ...args], { encoding: "utf8", env, timeout: 120_000 });
  return { code: result.status, stdout: result.stdout, stderr: result.stderr };
}

interface Usage {
  readonly path: string;
  readonly kinds: Readonly<Record<string, Readonly<Record<string, number | null>>>>;
  readonly total_bytes: number;
  readonly reclaimable_bytes: number;
}

test("msb df and msb prune", async () => {
  await prepareHome(home);
  await prepareStore(imageStore(home));
  await storeImage(imageStore(home), "example.org/old:1", long);
  await storeImage(imageStore(home), "example.org/young:1");
  await stoppedSandbox(home, "box", { image: "localhost/base" });
  const leftover = join(home.sandboxes, ".removed-0123456789abcdef");
  mkdirSync(leftover);
  writeFileSync(join(leftover, "file"), Buffer.alloc(1 << 20, "data"));

  const shown = msb("df");
  assert.equal(shown.code, 0, shown.stderr);
  const lines = shown.stdout.trimEnd().split("\n");
  assert.match(lines[0] ?? "", /^TYPE +TOTAL +ACTIVE +SIZE +RECLAIMABLE$/);
  assert.match(lines[1] ?? "", /^images +2 +0 +\d.* KiB +\d.* KiB \(\d+%\)$/);
  assert.match(shown.stdout, /^sandboxes +1 +0 +1(\.\d)? MiB +1 MiB \(\d+%\)$/m);
  assert.match(shown.stdout, /^fork memory +- +- +0 B +0 B$/m);
  assert.match(lines.at(-1) ?? "", /^total +\d/);
  const usage = JSON.parse(msb("df", "--format", "json").stdout) as Usage;
  assert.equal(usage.path, directory);
  assert.deepEqual(Object.keys(usage.kinds["fork_memory"] ?? {}), [
    ...["total", "active", "size_bytes", "reclaimable_bytes"],
  ]);
  assert.ok(usage.reclaimable_bytes > 1 << 20 && usage.total_bytes > usage.reclaimable_bytes);

  const [box] = JSON.parse(msb("df", "box", "--format", "json").stdout) as {
    name: string;
    own_bytes: number;
  }[];
  assert.ok(box?.name === "box" && box.own_bytes > 0);
  assert.match(msb("df", "box").stdout, /^NAME +OWN +SHARED +DISK .*\nbox +\d/);
  const nobody = msb("df", "nobody");
  assert.equal(nobody.code, 1);
  assert.match(nobody.stderr, /no sandbox is named nobody/);

  const asked = msb("prune");
  assert.equal(asked.code, 2);
  assert.match(asked.stderr, /nobody to ask/);
  const plan = msb("prune", "--dry-run");
  assert.match(
    plan.stdout,
    /^image example\.org\/old:1\nimage example\.org\/young:1\nleftover .*\nWould remove 2 images, 0 templates, 1 leftover: 1(\.\d)? MiB\n$/,
  );
  assert.ok(existsSync(leftover));
  const some = msb("prune", "-f", "--older-than", "1d", "--format", "json");
  const report = JSON.parse(some.stdout) as { images: { references: string[] }; bytes_reclaimed: number };
  assert.deepEqual(report.images.references, ["example.org/old:1"]);
  assert.ok(!existsSync(leftover) && report.bytes_reclaimed > 1 << 20);
  const rest = msb("prune", "-y");
  assert.match(rest.stderr, /Removed +1 image, 0 templates, 0 leftovers: \d.* KiB/);
  assert.equal(msb("prune", "--older-than", "soon").code, 2);
});

test("msb wait tells of those that do not run, and of what is none", async () => {
  await stoppedSandbox(home, "ended");
  await stoppedSandbox(home, "broken", { status: "crashed" });
  assert.deepEqual(msb("wait", "ended", "broken"), { code: 0, stdout: "0\n255\n", stderr: "" });
  const { code, stdout, stderr } = msb("wait", "ended", "nobody", "broken");
  assert.deepEqual([code, stdout], [1, "0\n255\n"]);
  assert.match(stderr, /no sandbox is named nobody/);
  assert.equal(msb("wait").code, 2);
  assert.equal(msb("wait", "--timeout", "0", "ended").code, 2);
});
