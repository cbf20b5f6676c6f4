import assert from "node:assert/strict";
import { cp, mkdir, mkdtemp, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { buildTypeScript } from "./build-typescript.ts";

const REPOSITORY = join(import.meta.dirname, "..");
let root = "";
let dist = "";

before(async () => {
  root = await mkdtemp(join(tmpdir(), "build-"));
  dist = join(root, "dist");
  await symlink(join(REPOSITORY, "node_modules"), join(root, "node_modules"));
  for (const name of ["tsconfig.json", "tsconfig.build.json", "package.json"]) {
    await cp(join(REPOSITORY, name), join(root, name));
  }
  await mkdir(join(root, "src/cli"), { recursive: true });
  await mkdir(dist);
  await write("cli/main.ts", `#!/usr/bin/env node\nimport { one } from "../one.ts";\nconsole.log(one);\n`);
  await write("one.ts", "export const one: number = 1;\n");
  await write("old.ts", "export const old = 0;\n");
  await write("one.test.ts", `throw new Error("never compiled");\n`);
});
after(async () => {
  await rm(root, { recursive: true, force: true });
});

const write = (path: string, text: string): Promise<void> => writeFile(join(root, "src", path), text);
const exists = (path: string): Promise<boolean> =>
  stat(join(dist, path)).then(
    () => true,
    () => false,
  );

test("sources are compiled once, tests are not, and the program can be run", async () => {
  assert.equal(await buildTypeScript(root, dist), true);
  assert.equal(await buildTypeScript(root, dist), false);
  assert.equal(await readFile(join(dist, "one.js"), "utf8"), "export const one = 1;\n");
  assert.match(
    await readFile(join(dist, "cli/main.js"), "utf8"),
    /^#!\/usr\/bin\/env node\nimport \{ one \} from "\.\.\/one\.js";/,
  );
  assert.equal((await stat(join(dist, "cli/main.js"))).mode & 0o111, 0o111);
  assert.ok(await exists("one.d.ts"));
  assert.ok(!(await exists("one.test.js")));
});

test("what a removed source became is removed, and other files stay", async () => {
  assert.ok(await exists("old.js"));
  await mkdir(join(dist, "guest/x86_64"), { recursive: true });
  await writeFile(join(dist, "guest/x86_64/kept.js"), "");
  await rm(join(root, "src/old.ts"));
  assert.equal(await buildTypeScript(root, dist), true);
  assert.ok(!(await exists("old.js")));
  assert.ok(!(await exists("old.d.ts")));
  assert.ok(await exists("guest/x86_64/kept.js"));
});

test("a type error fails the build, and the next build does not take it for done", async () => {
  await write("one.ts", `export const one: number = "1";\n`);
  await assert.rejects(buildTypeScript(root, dist), /failed/);
  await assert.rejects(buildTypeScript(root, dist), /failed/);
  await write("one.ts", "export const one: number = 2;\n");
  assert.equal(await buildTypeScript(root, dist), true);
});
