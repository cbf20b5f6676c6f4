/** The npm package as its users get it: packed by npm, unpacked in an empty project, with only what it depends on. */
import assert from "node:assert/strict";
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import type { Duplex } from "node:stream";
import { dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { build } from "esbuild";
import { encodeFrame, FrameKind } from "../src/protocol/frame.ts";
import { encodeMessage } from "../src/protocol/generated/messages.ts";
import { ownerFd, supervisorArguments } from "../src/start/contract/process.ts";
import { buildTypeScript } from "./build-typescript.ts";

const repository = join(import.meta.dirname, "..");
const directory = mkdtempSync(join(tmpdir(), "package-"));
const project = join(directory, "project");
const installed = join(project, "node_modules/microsandbox");
const packages = join(repository, "node_modules");

before(
  async () => {
    const source = join(directory, "source");
    mkdirSync(join(source, "dist/guest/x86_64"), { recursive: true });
    for (const name of ["package.json", "LICENSE", "README.md"])
      cpSync(join(repository, name), join(source, name));
    await buildTypeScript(repository, join(source, "dist"));
    // The guest's files are large, and packing them shows nothing more than packing this one.
    writeFileSync(join(source, "dist/guest/x86_64/agent"), "");
    const packed = execFileSync("npm", ["pack", "--silent", "--pack-destination", directory], {
      cwd: source,
      encoding: "utf8",
    });
    mkdirSync(installed, { recursive: true });
    execFileSync("tar", ["-xzf", join(directory, packed.trim()), "--strip-components=1", "-C", installed]);
    writeFileSync(join(project, "package.json"), '{ "type": "module" }');
    linkDependencies(installed);
  },
  { timeout: 300_000 },
);
after(() => {
  rmSync(directory, { recursive: true, force: true });
});

/** What npm would install with the package, from this repository's own packages. */
function linkDependencies(of: string): void {
  const { dependencies = {} } = JSON.parse(readFileSync(join(of, "package.json"), "utf8")) as {
    dependencies?: Record<string, string>;
  };
  for (const name of Object.keys(dependencies)) {
    const link = join(project, "node_modules", name);
    if (existsSync(link)) continue;
    mkdirSync(dirname(link), { recursive: true });
    cpSync(join(packages, name), link, { recursive: true });
    linkDependencies(link);
  }
}

const {
  NODE_TEST_CONTEXT: _context,
  FORCE_COLOR: _color,
  // Whoever has a cache of compiled code already is given no other one.
  NODE_COMPILE_CACHE: _cache,
  ...inherited
} = process.env;
const program = join(installed, "dist/cli/main.js");

function node(
  args: readonly string[],
  environment: NodeJS.ProcessEnv = {},
): { code: number | null; stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, args, {
    cwd: project,
    encoding: "utf8",
    env: { ...inherited, MSB_HOME: join(directory, "home"), ...environment },
    timeout: 300_000,
  });
  return { code: status, stdout, stderr };
}

/** A home that others have prepared. @returns its path, and that of its cache */
function preparedHome(name: string): { home: string; cache: string } {
  const home = join(directory, name);
  const cache = join(home, "cache");
  mkdirSync(cache, { recursive: true, mode: 0o700 });
  return { home, cache };
}

describe("the package", () => {
  test("programs are ASCII: one other character makes all of a program two bytes each to read and to compile", () => {
    const programs = globSync("dist/**/*.js", { cwd: installed }).filter((path) => !path.includes("/page/"));
    assert.ok(programs.includes("dist/cli/dispatch.js"));
    const others = programs.filter((path) => /[^\0-\x7f]/.test(readFileSync(join(installed, path), "utf8")));
    assert.deepEqual(others, []);
  });

  test("has programs, types and licences, and no sources, tests or traces of the build", () => {
    const files = globSync("**/*", { cwd: installed });
    for (const name of [
      "dist/api/index.js",
      "dist/supervisor/main.js",
      "dist/supervisor/program.js",
      "dist/index.d.ts",
      "dist/dashboard/dashboard.js",
      "dist/dashboard/page/app.js",
      "dist/guest/x86_64/agent",
    ])
      assert.ok(files.includes(name), name);
    const odd = files.filter((name) => /(?<!\.d)\.ts$|\.test\.|(^|\/)\./.test(name));
    assert.deepEqual(odd, []);
    const licences = readFileSync(join(installed, "dist/third-party-licences.txt"), "utf8");
    for (const name of [
      "commander",
      "valibot",
      "preact",
      "uplot",
      "ws",
      "@xterm/xterm",
      "yocto-spinner",
      "yoctocolors",
      "fs-native-extensions",
    ])
      assert.match(licences, new RegExp(`^${name}\n\n`, "m"));
  });

  test("runs as a command, through a link as npm makes it", () => {
    const link = join(directory, "msb");
    symlinkSync(program, link);
    const { version } = JSON.parse(readFileSync(join(repository, "package.json"), "utf8")) as {
      version: string;
    };
    assert.match(readFileSync(link, "utf8"), /^#!\/usr\/bin\/env node\n/);
    assert.equal(statSync(link).mode & 0o111, 0o111);
    assert.equal(node([link, "--version"]).stdout, `msb ${version}\n`);
    assert.deepEqual(node([link, "ls"]), { code: 0, stdout: "", stderr: "No sandboxes found.\n" });
    assert.match(node([link, "run", "--help"]).stdout, /^Usage: msb run /);
  });

  test("finds its supervisor and its guest", () => {
    const { stdout, stderr } = node([program, "doctor", "--format", "json"]);
    assert.equal(stderr, "");
    const { checks } = JSON.parse(stdout) as { checks: { name: string; detail: string; status: string }[] };
    const kernel = checks.find(({ name }) => name === "kernel");
    assert.ok(kernel?.detail.includes(join(installed, "dist/guest")), kernel?.detail);
  });

  test("starts a supervisor, which inherits a lock, and reports what it reports", () => {
    const code = `
      import { MicrosandboxError, Sandbox } from "microsandbox";
      const attempt = Sandbox.builder("one").image("localhost/base").create();
      const error = await attempt.catch((error) => error);
      console.log(error instanceof MicrosandboxError, error.name);`;
    const { stdout, stderr } = node(["--input-type=module", "--eval", code], { MSB_QEMU: "/nowhere" });
    assert.equal(stdout, "true QemuNotFoundError\n", stderr);
  });

  describe("in a bundle that someone made of a program that uses it", () => {
    const elsewhere = join(directory, "elsewhere");
    const formats = ["esm", "cjs"] as const;
    const bundles = formats.map((format) => `bundle.${format === "esm" ? "mjs" : "cjs"}`);

    before(async () => {
      writeFileSync(
        join(project, "bundled.mjs"),
        `import { isInstalled, Sandbox } from "microsandbox";
         const installed = isInstalled();
         Sandbox.builder("bundled").image("localhost/base").create().catch((error) => {
           console.log(JSON.stringify([error.name, error.hint, installed]));
         });`,
      );
      mkdirSync(elsewhere);
      for (const [index, format] of formats.entries()) {
        const outfile = join(project, bundles[index] ?? "");
        await build({
          entryPoints: [join(project, "bundled.mjs")],
          outfile,
          bundle: true,
          platform: "node",
          format,
          minify: format === "cjs",
          logLevel: "error",
        });
        cpSync(outfile, join(elsewhere, bundles[index] ?? ""));
      }
    });

    test("it starts the supervisor of the package that is installed there", () => {
      for (const bundle of bundles) {
        const { stdout, stderr } = node([bundle], { MSB_QEMU: "/nowhere" });
        assert.match(stdout, /^\["QemuNotFoundError"/, `${bundle}: ${stderr}`);
      }
    });

    test("elsewhere it says what is missing, and what to leave out of the bundle", () => {
      for (const bundle of bundles) {
        const { stdout, stderr } = node([join(elsewhere, bundle)], { MSB_QEMU: "/nowhere" });
        assert.match(
          stdout,
          /^\["LibkrunfwNotFoundError",".*--external:microsandbox.*",false\]$/m,
          `${bundle}: ${stderr}`,
        );
      }
    });
  });

  test("exports classes under their own names", () => {
    const code = `
      import * as library from "microsandbox";
      // A function's own name nobody sees; one that a dependency has as well is another one in the bundle.
      const isClass = (value) => typeof value === "function" && String(value).startsWith("class");
      const named = Object.entries(library).filter(([, value]) => isClass(value));
      console.log(JSON.stringify(named.map(([name, value]) => [name, value.name])));`;
    const names = JSON.parse(node(["--input-type=module", "--eval", code]).stdout) as [string, string][];
    assert.ok(names.length > 40);
    // Classes that users know by two names.
    const second = new Map([
      ["SandboxFsOpsError", "SandboxFsError"],
      ["SandboxFsOps", "SandboxFs"],
    ]);
    for (const [exported, own] of names) assert.equal(own, second.get(exported) ?? exported);
  });

  test("has types that need nothing but its dependencies and Node's own", { timeout: 300_000 }, () => {
    writeFileSync(
      join(project, "program.ts"),
      `import { Sandbox, type SandboxHandle } from "microsandbox";
       const all: SandboxHandle[] = await Sandbox.list();
       // @ts-expect-error -- it is a string
       const wrong: number = all[0]?.name;
       console.log(wrong);`,
    );
    const settings = {
      target: "es2024",
      lib: ["es2024", "esnext.disposable"],
      module: "nodenext",
      strict: true,
      noEmit: true,
      types: ["node"],
      typeRoots: [join(packages, "@types")],
    };
    writeFileSync(
      join(project, "tsconfig.json"),
      JSON.stringify({ compilerOptions: settings, files: ["program.ts"] }),
    );
    const { code, stdout } = node([join(packages, "typescript/bin/tsc"), "-p", project]);
    assert.equal(code, 0, stdout);
  });
});

describe("start-up", () => {
  const list = join(directory, "modules.json");

  /** Node's arguments with which a program writes down, when it ends, the modules that it has loaded. */
  function noting(args: readonly string[]): string[] {
    const hook = join(directory, "modules.cjs");
    writeFileSync(
      hook,
      `process.on("exit", () => {
         const names = process.moduleLoadList.map((name) => name.replace("NativeModule ", ""));
         require("node:fs").writeFileSync(process.env.MODULES, JSON.stringify(names));
       });`,
    );
    return ["--require", hook, ...args];
  }

  function noted(): string[] {
    return JSON.parse(readFileSync(list, "utf8")) as string[];
  }

  /** Node's own modules that a program loads beyond those that Node loads by itself. */
  function loaded(args: readonly string[], environment: NodeJS.ProcessEnv): string[] {
    node(noting(args), { ...environment, MODULES: list });
    return noted();
  }

  const heavy = ["crypto", "tls", "http", "https", "zlib", "child_process", "worker_threads"];
  const present = (names: readonly string[]): string[] => heavy.filter((name) => names.includes(name));

  test("a list loads little of Node", () => {
    const { home } = preparedHome("little");
    const names = loaded([program, "ls"], { MSB_HOME: home });
    assert.ok(names.includes("fs/promises"));
    assert.deepEqual(present(names), []);
  });

  test("the library loads nothing of Node before it is used", () => {
    assert.deepEqual(present(loaded(["--input-type=module", "--eval", 'import "microsandbox"'], {})), []);
  });

  test("the supervisor does not load what only registries need", async () => {
    const args = noting([
      join(installed, "dist/supervisor/main.js"),
      ...supervisorArguments({ kind: "host" }),
    ]);
    const child = spawn(process.execPath, args, {
      cwd: project,
      env: { ...inherited, MSB_HOME: join(directory, "home"), MODULES: list },
      stdio: ["ignore", "ignore", "inherit", "pipe", "ignore", "ignore"],
    });
    const exited = once(child, "exit");
    const owner = child.stdio[ownerFd] as Duplex;
    owner.write(encodeFrame(1, FrameKind.control, encodeMessage({ type: "Diagnose" })));
    await once(owner, "data");
    owner.end();
    assert.deepEqual(await exited, [0, null]);
    const names = noted();
    assert.ok(names.includes("child_process"));
    assert.deepEqual(
      present(names).filter((name) => ["tls", "http", "https", "zlib"].includes(name)),
      [],
    );
  });
});

describe("the cache of compiled code", () => {
  const entries = (cache: string): string[] =>
    globSync("code/*/*", { cwd: cache, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ name }) => name);

  test("is filled by the first command", () => {
    const { home, cache } = preparedHome("cached");
    assert.equal(node([program, "ls"], { MSB_HOME: home }).code, 0);
    assert.equal(entries(cache).length, 1);
    assert.equal(node([program, "ls"], { MSB_HOME: home }).code, 0);
  });

  test("is not made where there is no home", () => {
    const home = join(directory, "none");
    assert.equal(node([program, "ls"], { MSB_HOME: home }).code, 0);
    assert.ok(!existsSync(home));
  });

  test("is not trusted where others can write", () => {
    const { home, cache } = preparedHome("shared");
    chmodSync(cache, 0o770);
    assert.equal(node([program, "ls"], { MSB_HOME: home }).code, 0);
    assert.deepEqual(entries(cache), []);
  });

  test("is no error where it cannot be made", () => {
    const { home, cache } = preparedHome("blocked");
    writeFileSync(join(cache, "code"), "a file in the way");
    assert.deepEqual(node([program, "ls"], { MSB_HOME: home }), {
      code: 0,
      stdout: "",
      stderr: "No sandboxes found.\n",
    });
  });
});
