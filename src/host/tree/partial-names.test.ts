import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { directory, file } from "../../../test/support/tree-support.ts";
import { partialPrefix } from "./partial-names.ts";
import { TreeWriter } from "./tree-writer.ts";

const skip = process.platform === "linux" ? false : "it takes /proc";

test("what a killed process has left goes with the next copy, and nothing else does", { skip }, async (t) => {
  const place = await mkdtemp(join(tmpdir(), "msb-partial-"));
  t.after(() => rm(place, { recursive: true, force: true }));
  const victim = join(place, "victim");
  await writeFile(victim, "stays");
  await mkdir(join(place, "to/inner"), { recursive: true });
  // One names what it does not finish, and lives; its child is dead.
  const module = JSON.stringify(import.meta.resolve("./partial-names.ts"));
  const script = `
    import { partialName } from ${module};
    for (let count = 0; count < 4; count++) console.log(await partialName());`;
  const dead = execFileSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8" });
  const [one = "", two = "", three = "", four = ""] = dead.trim().split("\n");
  const living = spawn(process.execPath, ["--input-type=module", "-e", `${script} process.stdin.resume();`]);
  t.after(() => living.kill());
  const [said] = (await once(living.stdout, "data")) as [Buffer];
  const lives = said.toString().split("\n")[0] ?? "";
  const elsewhere = one.replace(/-[0-9a-f]{8}-/u, (world) =>
    world === "-00000000-" ? "-11111111-" : "-00000000-",
  );
  const to = join(place, "to");
  await writeFile(join(to, one), "half");
  await mkdir(join(to, two, "a/b"), { recursive: true });
  await writeFile(join(to, two, "a/b/c"), "half");
  await symlink(victim, join(to, three));
  await writeFile(join(to, "inner", four), "half");
  for (const kept of [lives, elsewhere, `${partialPrefix}x`]) await writeFile(join(to, kept), "kept");

  await using writer = await TreeWriter.open(to);
  await writer.write([...directory(""), ...directory("inner"), ...file("inner/new", "new")]);
  await writer.finish();
  const expected = [lives, elsewhere, `${partialPrefix}x`, "inner"];
  assert.deepEqual((await readdir(to)).sort(), expected.sort());
  assert.deepEqual(await readdir(join(to, "inner")), ["new"]);
  assert.equal(await readFile(victim, "utf8"), "stays");
});
