/** The documentation and the code say the same things. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { SandboxBuilder } from "../../src/api/config/sandbox-builder.ts";
import { commandEntries } from "../../src/cli/commands.ts";
import { checkGlobalConfig, globalConfigSchema } from "../../src/config/global/global-config.ts";
import { bootStages, errorTable, execFailureKinds, type ErrorEntry } from "../../src/errors/table.ts";
import { examplesOf, pages, publicSources, root } from "./examples-extract.ts";

function read(path: string): string {
  return readFileSync(join(root, path), "utf8");
}

function sources(directory: string): string[] {
  return readdirSync(join(root, directory), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts") && !name.endsWith(".test.ts"))
    .map((name) => read(join(directory, name)));
}

function all(text: string, pattern: RegExp): string[] {
  return [...new Set([...text.matchAll(pattern)].map((match) => match[1] ?? ""))];
}

test("the source files and folders that the pages name exist", () => {
  let count = 0;
  for (const page of pages()) {
    for (const path of all(read(page), /(?<![\w/.-])(src\/[\w./-]*\w)/g)) {
      count++;
      assert.ok(existsSync(join(root, path)), `${page} names ${path}`);
    }
  }
  assert.ok(count > 20, `${count} names were found`);
});

test("the examples have the right types", { timeout: 300_000 }, () => {
  const directory = mkdtempSync(join(tmpdir(), "msb-example-types-"));
  try {
    let count = 0;
    for (const file of [...pages(), ...publicSources()]) {
      for (const { language, line, code } of examplesOf(file)) {
        if (language !== "ts") continue;
        count++;
        writeFileSync(join(directory, `${file.replace(/\W/g, "-")}-${line}.ts`), code);
      }
    }
    assert.ok(count > 10, `${count} examples were found`);
    const settings = {
      extends: join(root, "tsconfig.json"),
      compilerOptions: {
        paths: { microsandbox: [join(root, "src/index.ts")] },
        typeRoots: [join(root, "node_modules/@types")],
      },
      include: [directory, join(root, "src/host/locks/fs-native-extensions.d.ts")],
    };
    writeFileSync(join(directory, "package.json"), '{ "type": "module" }');
    writeFileSync(join(directory, "tsconfig.json"), JSON.stringify(settings));
    execFileSync(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), "-p", directory], {
      stdio: ["ignore", "inherit", "inherit"],
    });
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

describe("docs/errors.md", () => {
  const page = read("docs/errors.md");

  const rows = [...page.matchAll(/^\| `(\w+)` +\| `(\w+)` +\| (.*?) +\|/gm)];
  const documented = new Map(rows.map(([, code = "", name = "", when = ""]) => [code, { name, when }]));

  test("has every error code with its class and its fields, and no other", () => {
    assert.deepEqual([...documented.keys()].sort(), Object.keys(errorTable).sort());
    for (const [code, entry] of Object.entries<ErrorEntry>(errorTable)) {
      const { name, when = "" } = documented.get(code) ?? {};
      assert.equal(name, entry.class);
      for (const field of Object.keys(entry.details)) {
        assert.ok(when.includes(`\`${field}\``) || when.includes(`\`${field}()\``), `${code}: ${field}`);
      }
    }
  });

  test("has every kind of failed command and every stage of a start", () => {
    for (const name of [...execFailureKinds, ...bootStages]) assert.ok(page.includes(`\`${name}\``), name);
  });
});

describe("docs/configuration.md", () => {
  const page = read("docs/configuration.md");

  test("has every environment variable that the code reads, and no other", () => {
    const used = all(sources("src").join("\n"), /(?:\[|FromEnvironment\()"(MSB_[A-Z_]+)"/g);
    assert.ok(used.length >= 6);
    assert.deepEqual(all(page, /^\| `(MSB_[A-Z_]+)`/gm).sort(), used.sort());
  });

  test("has every key of config.json, and no other", () => {
    const keys = keysOf(globalConfigSchema);
    assert.ok(keys.length > 20);
    const section = /^## config\.json\n([^]*?)^## /m.exec(page)?.[1] ?? "";
    const documented = all(section, /^\| `([a-z_.]+)` /gm);
    for (const key of documented) assert.ok(keys.includes(key), `${key} is no key`);
    // How registries are spoken to is told in sentences; defaults of sandboxes are in the table of settings, too.
    const others = keys.filter((key) => !key.startsWith("registries"));
    const settings = all(page, /^\| `\w+` .*?`([a-z]+[._][a-z_.]+)`, else /gm);
    for (const key of others) assert.ok([...documented, ...settings].includes(key), `${key} has no row`);
    for (const key of ["ca_certs", "insecure", "auth", "password_env", "secret_name", "keyring"])
      assert.ok(page.includes(key), key);
  });

  test("has an example of config.json that is valid", () => {
    const examples = [...page.matchAll(/^```json\n([^]*?)^```/gm)].map((match) => match[1] ?? "");
    assert.ok(examples.length >= 2);
    for (const example of examples) checkGlobalConfig(JSON.parse(example), "the example");
  });
});

/** The paths of a schema's keys that hold a value and no section. */
function keysOf(schema: object, path = ""): string[] {
  const { entries, wrapped, pipe } = schema as Record<"entries" | "wrapped" | "pipe", object | undefined>;
  if (wrapped !== undefined) return keysOf(wrapped, path);
  if (entries === undefined) return pipe === undefined || path !== "" ? [path] : [];
  return Object.entries(entries).flatMap(([key, inner]) =>
    keysOf(inner as object, path === "" ? key : `${path}.${key}`),
  );
}

test("docs/lifecycle.md names setters that there are", () => {
  const table = /\| Setter[^]*?\n\n/.exec(read("docs/lifecycle.md"))?.[0] ?? "";
  const setters = all(table, /^\| ([^|]*)\|/gm).flatMap((cell) => all(cell, /`(\w+)/g));
  assert.ok(setters.length > 15);
  for (const setter of setters) assert.ok(setter in SandboxBuilder.prototype, setter);
});

describe("docs/dependencies.md", () => {
  test("has every package that we name, and no other", () => {
    const named = ["package.json", "docs/package.json"].flatMap((file) => {
      const { dependencies = {}, devDependencies } = JSON.parse(read(file)) as {
        dependencies?: Record<string, string>;
        devDependencies: Record<string, string>;
      };
      return [...Object.keys(dependencies), ...Object.keys(devDependencies)];
    });
    assert.deepEqual(
      all(read("docs/dependencies.md"), /^\| `([^`]+)` +\|/gm).sort(),
      [...new Set(named)].sort(),
    );
  });
});

test("docs/cli.md has every command", () => {
  const page = read("docs/cli.md");
  const names = commandEntries.flatMap((entry) => entry.names).filter((name) => !name.startsWith("_"));
  assert.ok(names.length > 15);
  for (const name of names) assert.ok(page.includes(`\`msb ${name}`) || page.includes(`\`${name}\``), name);
});
