import assert from "node:assert/strict";
import { truncate, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { hashTemplate } from "../../src/store/templates/template-hashes.ts";
import { locateHome, prepareHome, type Home } from "../../src/store/home.ts";
import { lockTemplate, stageTemplate } from "../../src/store/templates/template-staging.ts";
import { MsbHome } from "../vm/cli/cli-support.ts";
import { imageDetails, keyA, keyB, keyC, machineDetails, make } from "../support/template-support.ts";

async function homeOf(scope: MsbHome): Promise<Home> {
  const home = locateHome({ MSB_HOME: scope.path });
  await prepareHome(home);
  return home;
}

/** An image template used first, a damaged one, and a shape that can have none, used last. */
async function fillHome(home: Home): Promise<void> {
  const image = await make(home, keyA, { details: imageDetails, dataMib: 3 });
  const damaged = await make(home, keyB);
  assert.ok(image !== null && damaged !== null);
  await hashTemplate(home, image);
  await truncate(damaged.paths.memory, 7);
  const lock = await lockTemplate(home, keyC);
  const staged = await stageTemplate(home);
  await staged.commitUnusable(lock, machineDetails, "QEMU cannot save it");
  await lock.release();
  for (const [path, time] of [
    [image.paths.record, new Date(2024, 0, 1)],
    [damaged.directory, new Date(2024, 0, 2)],
    [join(home.templates, keyC, "template.json"), new Date(2024, 0, 3)],
  ] as const) {
    await utimes(path, time, time);
  }
}

interface ListedJson {
  readonly key: string;
  readonly status: string;
  readonly reason: string | null;
  readonly size_bytes: number;
}

test("list shows what there is", async () => {
  await using scope = new MsbHome();
  const none = await scope.msb("template", "ls");
  assert.deepEqual([none.code, none.stdout, none.stderr], [0, "", "No templates found.\n"]);
  assert.equal((await scope.msb("template", "ls", "--format", "json")).stdout, "[]\n");
  await fillHome(await homeOf(scope));

  const lines = (await scope.msb("template", "list")).stdout.trimEnd().split("\n");
  assert.deepEqual(
    lines.map((line) => line.split(/ {4,}/)),
    [
      ["KEY", "STATUS", "KIND", "IMAGE", "CPUS", "MEMORY", "SIZE", "LAST USED"],
      [
        "cccccccccccc",
        "unusable",
        "machine",
        "-",
        "1",
        "64 MiB",
        lines[1]?.split(/ {4,}/)[6],
        "2024-01-03 00:00:00",
      ],
      ["bbbbbbbbbbbb", "damaged", "-", "-", "-", "-", lines[2]?.split(/ {4,}/)[6], "2024-01-02 00:00:00"],
      ["aaaaaaaaaaaa", "ready", "image", "localhost/base", "1", "64 MiB", "3 MiB", "2024-01-01 00:00:00"],
    ],
  );
  assert.equal((await scope.msb("template", "ls", "-q")).stdout, `${keyC}\n${keyB}\n${keyA}\n`);
  const listed = JSON.parse((await scope.msb("template", "ls", "--format", "json")).stdout) as ListedJson[];
  assert.deepEqual(
    listed.map(({ key, status, reason }) => [key, status, reason]),
    [
      [keyC, "unusable", "QEMU cannot save it"],
      [keyB, "damaged", "memory has 7 bytes instead of 67108864"],
      [keyA, "ready", null],
    ],
  );
  assert.equal(
    (await scope.msb("__complete", "--", "template", "inspect")).stdout.split("\t")[0],
    "cccccccccccc",
  );
});

test("inspect finds one by the beginning of its key", async () => {
  await using scope = new MsbHome();
  const home = await homeOf(scope);
  await fillHome(home);
  const text = (await scope.msb("template", "inspect", "aa")).stdout;
  assert.match(text, new RegExp(`^Key: +${keyA}\nStatus: +ready\nKind: +image\nImage: +localhost/base\n`));
  assert.match(
    (await scope.msb("template", "inspect", "b")).stdout,
    /^Status: +damaged: memory has 7 bytes/m,
  );
  const { stdout } = await scope.msb("template", "inspect", "c", "--format", "json");
  const found = JSON.parse(stdout) as ListedJson & { readonly cpus: number };
  assert.deepEqual([found.key, found.status, found.cpus], [keyC, "unusable", 1]);
  const missing = await scope.msb("template", "inspect", "d");
  assert.deepEqual([missing.code, missing.stdout], [1, ""]);
  assert.match(missing.stderr, /no template has a key that begins with "d"\n {2}→ See "msb template ls"/);
  await make(home, `${"a".repeat(63)}0`);
  assert.match((await scope.msb("template", "inspect", "a")).stderr, /2 templates have a key that begins/);
});

test("prune removes all, and says what that gave", async () => {
  await using scope = new MsbHome();
  const home = await homeOf(scope);
  await fillHome(home);
  const removed = await scope.msb("template", "prune");
  assert.equal(removed.code, 0);
  assert.match(removed.stdout + removed.stderr, /✓ Removed +3 templates, [34](\.\d)? MiB/);
  assert.equal((await scope.msb("template", "ls", "-q")).stdout, "");
  const none = await scope.msb("template", "prune", "--format", "json");
  assert.deepEqual(JSON.parse(none.stdout), { templates_removed: 0, bytes_reclaimed: 0 });
  await make(home, keyA);
  const quiet = await scope.msb("template", "prune", "-q");
  assert.deepEqual([quiet.code, quiet.stdout, quiet.stderr], [0, "", ""]);
  assert.equal((await scope.msb("template", "prune", "-q", "--format", "json")).code, 2);
});

test("doctor reads them and says what to do", async () => {
  await using scope = new MsbHome();
  const home = await homeOf(scope);
  const templatesRow = async (): Promise<unknown> => {
    const { stdout, stderr } = await scope.msb("doctor", "--format", "json");
    assert.equal(stderr, "");
    const { checks } = JSON.parse(stdout) as { checks: { name: string; detail: string }[] };
    const row = checks.find(({ name }) => name === "templates");
    // Blocks differ between file systems.
    return row === undefined ? row : { ...row, detail: row.detail.replace(/[34] MiB of/, "3 MiB of") };
  };
  const row = (status: string, detail: string, fix = ""): object => ({
    name: "templates",
    status,
    detail,
    fix,
  });
  const prune = 'Remove all with "msb template prune": they are made again when they are needed.';

  assert.deepEqual(await templatesRow(), row("info", "none yet: the first sandbox of a shape makes one"));
  const made = await make(home, keyA, { dataMib: 3 });
  assert.ok(made !== null);
  assert.deepEqual(
    await templatesRow(),
    row(
      "info",
      "1 template, 3 MiB of at most 10240 MiB\naaaaaaaaaaaa was not checked: its hashes were never computed",
    ),
  );
  await hashTemplate(home, made);
  assert.deepEqual(
    await templatesRow(),
    row("ok", "1 template, 3 MiB of at most 10240 MiB; contents of all verified"),
  );
  await scope.msb("template", "prune");
  await fillHome(home);
  assert.deepEqual(
    await templatesRow(),
    row(
      "warning",
      "2 templates, 3 MiB of at most 10240 MiB; contents of 1 verified\n" +
        "bbbbbbbbbbbb is damaged: memory has 7 bytes instead of 67108864\n" +
        "cccccccccccc cannot be made here: QEMU cannot save it",
      prune,
    ),
  );
  scope.environment["MSB_TEMPLATES"] = "sometimes";
  assert.deepEqual(
    await templatesRow(),
    row("problem", 'MSB_TEMPLATES is "sometimes"', "Set it to on or off, or unset it."),
  );
  delete scope.environment["MSB_TEMPLATES"];
  await writeFile(home.configFile, JSON.stringify({ templates: { enabled: false } }));
  await scope.msb("template", "prune");
  assert.deepEqual(
    await templatesRow(),
    row("info", "off: every sandbox boots, because templates are turned off in config.json"),
  );
});
