import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cp, mkdir, mkdtemp, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { buildTypeScript } from "./build-typescript.ts";

const REPOSITORY = join(import.meta.dirname, "..");
let root = "";
let dist = "";

before(async () => {
  root = await mkdtemp(join(tmpdir(), "build-"));
  dist = join(root, "dist");
  await symlink(join(REPOSITORY, "node_modules"), join(root, "node_modules"));
  for (const name of ["tsconfig.json", "tsconfig.build.json", "package.json", "package-lock.json"]) {
    await cp(join(REPOSITORY, name), join(root, name));
  }
  await mkdir(dist);
  await write("cli/main.ts", `#!/usr/bin/env node\nawait import("./dispatch.ts");\nexport {};\n`);
  await write(
    "cli/dispatch.ts",
    `import { one } from "../one.ts";
     import { three } from "./commands/host/mcp.ts";
     import { dashboard } from "./commands/host/dashboard.ts";
     import { safeParse, string } from "valibot";
     export async function two(): Promise<number> {
       using scope = { [Symbol.dispose]: (): void => undefined };
       void scope;
       return (await import("../later.ts")).two;
     }
     console.log(one, await two(), safeParse(string(), "x").success, await three(), await dashboard());`,
  );
  await write(
    "cli/commands/host/mcp.ts",
    `export async function three(): Promise<number> {
       return (await import("../../../mcp/program.ts")).three;
     }`,
  );
  await write("mcp/program.ts", "export const three = 3;\n");
  await write(
    "cli/commands/host/dashboard.ts",
    `export async function dashboard(): Promise<string> {
       return (await import("../../../dashboard/dashboard.ts")).dashboard;
     }`,
  );
  await write("dashboard/dashboard.ts", `export const dashboard = "loaded later";\n`);
  await write("ssh/library.ts", "export const four = 4;\n");
  await write("require-node.ts", "export {};\n");
  await write("later.ts", `import { two as value } from "./api/index.ts";\nexport const two = value;\n`);
  await write("api/index.ts", `export const two = 2;\n`);
  await write("supervisor/main.ts", `await import("./program.ts");\nexport {};\n`);
  await write("supervisor/program.ts", `import { connect } from "node:net";\nconsole.log(typeof connect);\n`);
  await write("file-server/worker.ts", "export {};\n");
  await write("dashboard/page/main.tsx", `import { render } from "preact";\nconsole.log(typeof render);\n`);
  for (const name of ["index.html", "icon.svg"]) await write(`dashboard/page/${name}`, "<p>page</p>\n");
  await write("one.ts", "export const one: number = 1;\n");
  await write("old.ts", "export const old = 0;\n");
  await write("one.test.ts", `throw new Error("never compiled");\n`);
});
after(async () => {
  await rm(root, { recursive: true, force: true });
});

const write = async (path: string, text: string): Promise<void> => {
  await mkdir(dirname(join(root, "src", path)), { recursive: true });
  await writeFile(join(root, "src", path), text);
};
const exists = (path: string): Promise<boolean> =>
  stat(join(dist, path)).then(
    () => true,
    () => false,
  );
const build = (): Promise<boolean> => buildTypeScript(root, dist);
const run = (path: string): string =>
  execFileSync(process.execPath, [join(dist, path)], { encoding: "utf8", env: {} });

test("programs are made once, and run without their sources and packages", async () => {
  assert.equal(await build(), true);
  assert.equal(await build(), false);
  await rm(join(root, "node_modules"));
  try {
    assert.equal(run("cli/main.js"), "1 2 true 3 loaded later\n");
    assert.equal(run("supervisor/main.js"), "function\n");
  } finally {
    await symlink(join(REPOSITORY, "node_modules"), join(root, "node_modules"));
  }
  assert.equal((await stat(join(dist, "cli/main.js"))).mode & 0o111, 0o111);
  assert.equal(run("dashboard/page/app.js"), "function\n");
  assert.equal(await readFile(join(dist, "dashboard/page/index.html"), "utf8"), "<p>page</p>\n");
  assert.ok(!(await exists("dashboard/page/main.d.ts")));
  assert.ok(await exists("one.d.ts"));
  assert.ok(!(await exists("one.js")));
  assert.ok(!(await exists("one.test.d.ts")));
});

test("what starts the program does not contain it", async () => {
  assert.match(await readFile(join(dist, "cli/main.js"), "utf8"), /^#!\/usr\/bin\/env node\n/);
  assert.match(await readFile(join(dist, "cli/main.js"), "utf8"), /import\("\.\/dispatch\.js"\)/);
  assert.ok((await stat(join(dist, "cli/main.js"))).size < (await stat(join(dist, "cli/dispatch.js"))).size);
  assert.match(await readFile(join(dist, "supervisor/main.js"), "utf8"), /import\("\.\/program\.js"\)/);
  assert.doesNotMatch(await readFile(join(dist, "supervisor/main.js"), "utf8"), /connect/);
});

test("what only one command needs is in no file that others read", async () => {
  const text = await readFile(join(dist, "cli/dispatch.js"), "utf8");
  assert.match(text, /import\("\.\.\/dashboard\/dashboard\.js"\)/);
  assert.doesNotMatch(text, /loaded later/);
});

test("the licences of packages are kept with their code", async () => {
  const text = await readFile(join(dist, "third-party-licences.txt"), "utf8");
  assert.match(text, /^valibot\n\nMIT License/m);
  assert.doesNotMatch(text, /^commander$/m);
});

test("what a removed source became is removed, and other files stay", async () => {
  assert.ok(await exists("old.d.ts"));
  await mkdir(join(dist, "guest/x86_64"), { recursive: true });
  await writeFile(join(dist, "guest/x86_64/kept.js"), "");
  await rm(join(root, "src/old.ts"));
  assert.equal(await build(), true);
  assert.ok(!(await exists("old.d.ts")));
  assert.ok(await exists("guest/x86_64/kept.js"));
});

test("a type error fails the build, and the next build does not take it for done", async () => {
  await write("one.ts", `export const one: number = "1";\n`);
  await assert.rejects(build(), /failed/);
  await assert.rejects(build(), /failed/);
  await write("one.ts", "export const one: number = 2;\n");
  assert.equal(await build(), true);
  assert.equal(run("cli/main.js"), "2 2 true 3 loaded later\n");
});
