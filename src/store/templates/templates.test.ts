import assert from "node:assert/strict";
import {
  chmod,
  chown,
  copyFile,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  truncate,
  utimes,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";
import { dropTemplate, removeTemplate } from "./template-removal.ts";
import { openTemplate, type Template } from "./templates.ts";
import {
  entries,
  imageDetails,
  keyA,
  keyB,
  make,
  TemplateHome,
} from "../../../test/support/template-support.ts";

const asRoot = process.getuid?.() === 0 ? false : "giving a file to someone else takes root";
const longAgo = new Date("2020-01-01T00:00:00Z");

async function rewriteRecord(template: Template, changes: Readonly<Record<string, unknown>>): Promise<void> {
  await writeFile(template.paths.record, JSON.stringify({ ...template.record, ...changes }));
}

/** Each damages a template in a way of its own. */
const damages: readonly {
  readonly name: string;
  readonly reason: RegExp;
  readonly skip?: string | false;
  damage(this: void, template: Template): Promise<void>;
}[] = [
  {
    name: "a file is missing",
    reason: /^state is missing$/,
    damage: ({ paths }) => rm(paths.state),
  },
  {
    name: "a file is shorter",
    reason: /^memory has 4096 bytes instead of 67108864$/,
    damage: ({ paths }) => truncate(paths.memory, 4096),
  },
  {
    name: "a file was written to",
    reason: /^upper.extents was changed after it was saved$/,
    damage: async ({ paths }) => {
      await writeFile(paths.upper, "UPPER", { flag: "r+" });
      await utimes(paths.upper, longAgo, longAgo);
    },
  },
  {
    name: "a file is a copy, with the same time",
    reason: /^state is another file than the one that was saved$/,
    damage: async ({ paths, record }) => {
      // On file systems that give a free inode again at once, both must be there at the same time.
      await copyFile(paths.state, `${paths.state}.copy`);
      await rename(`${paths.state}.copy`, paths.state);
      assert.notEqual(String((await stat(paths.state)).ino), record.files["state"]?.inode);
    },
  },
  {
    name: "a file is a symbolic link to itself, moved",
    reason: /^memory is no file$/,
    damage: async ({ paths }) => {
      await rename(paths.memory, `${paths.memory}.moved`);
      await symlink("memory.moved", paths.memory);
    },
  },
  {
    name: "others can write a file",
    reason: /^memory can be written by other users$/,
    damage: ({ paths }) => chmod(paths.memory, 0o602),
  },
  {
    name: "others can write the directory",
    reason: /^its directory can be written by other users$/,
    damage: ({ directory }) => chmod(directory, 0o770),
  },
  {
    name: "a file belongs to someone else",
    reason: /^state belongs to another user$/,
    skip: asRoot,
    damage: ({ paths }) => chown(paths.state, 12345, 12345),
  },
  {
    name: "the directory belongs to someone else",
    reason: /^its directory belongs to another user$/,
    skip: asRoot,
    damage: ({ directory }) => chown(directory, 12345, 12345),
  },
  {
    name: "there is no record",
    reason: /^template.json is missing$/,
    damage: ({ paths }) => rm(paths.record),
  },
  {
    name: "the record was cut short",
    reason: /^template.json is not valid$/,
    damage: ({ paths }) => truncate(paths.record, 100),
  },
  {
    name: "the record is of another format",
    reason: /^template.json is not valid$/,
    damage: (template) => rewriteRecord(template, { format: 2 }),
  },
  {
    name: "the record does not know a file",
    reason: /^template.json does not know memory$/,
    damage: (template) => rewriteRecord(template, { files: {} }),
  },
  {
    name: "others can write the record",
    reason: /^template.json can be written by other users$/,
    damage: ({ paths }) => chmod(paths.record, 0o620),
  },
  {
    name: "it was made in an earlier boot of the host and is not on the disk for certain",
    reason: /^it was made before the host was started/,
    damage: (template) => rewriteRecord(template, { hostBoot: "another" }),
  },
  {
    name: "nobody knows in which boot it was made, and it is not on the disk for certain",
    reason: /^it was made before the host was started/,
    damage: (template) => rewriteRecord(template, { hostBoot: null }),
  },
];

describe("a damaged template is removed, and made again", () => {
  for (const { name, reason, skip = false, damage } of damages) {
    test(name, { skip }, async () => {
      await using scope = await TemplateHome.create();
      const { home } = scope;
      const created = await make(home, keyA, { details: imageDetails });
      const other = await make(home, keyB);
      assert.ok(created !== null && other !== null);
      await damage(created);
      const opened = await openTemplate(home, keyA);
      assert.equal(opened.template, null);
      assert.match(opened.dropped?.reason ?? "", reason);
      assert.equal(opened.dropped?.isRemoved, true);
      assert.deepEqual(await entries(home), [keyB]);
      assert.deepEqual(await openTemplate(home, keyA), { template: null, unusable: null, dropped: null });
      const again = await make(home, keyA, { details: imageDetails });
      assert.deepEqual((await readdir(home.templates)).sort(), [keyA, keyB]);
      assert.deepEqual((await openTemplate(home, keyA)).template, again);
      assert.deepEqual((await openTemplate(home, keyB)).template, other);
    });
  }

  test("its directory is a link to one that is well", async () => {
    await using scope = await TemplateHome.create();
    const { home } = scope;
    const created = await make(home, keyA);
    assert.ok(created !== null);
    const elsewhere = join(home.root, "elsewhere");
    await rename(created.directory, elsewhere);
    await symlink(elsewhere, created.directory);
    assert.equal((await openTemplate(home, keyA)).dropped?.reason, "its directory is no directory");
    await make(home, keyB);
    assert.deepEqual(await readdir(home.templates), [keyB]);
    // The link went, not what it led to.
    assert.equal(await readFile(join(elsewhere, "state"), "utf8"), "state");
  });
});

test("a template of an earlier boot that is on the disk for certain is used", async () => {
  await using scope = await TemplateHome.create();
  const { home } = scope;
  const created = await make(home, keyA);
  assert.ok(created !== null);
  await rewriteRecord(created, { hostBoot: "another", durable: true });
  assert.ok((await openTemplate(home, keyA)).template !== null);
});

test("that none can be made is known until the host is started anew, and then tried again", async () => {
  await using scope = await TemplateHome.create();
  const { home } = scope;
  const created = await make(home, keyA);
  assert.ok(created !== null);
  await rewriteRecord(created, { files: {}, unusable: "it cannot be saved" });
  assert.equal((await openTemplate(home, keyA)).unusable, "it cannot be saved");
  assert.equal((await openTemplate(home, keyA)).unusable, "it cannot be saved");
  await rewriteRecord(created, { hostBoot: "another", files: {}, unusable: "it cannot be saved" });
  assert.deepEqual(await openTemplate(home, keyA), { template: null, unusable: null, dropped: null });
  assert.equal((await openTemplate(home, keyA)).unusable, null);
});

test("opening marks it as used", async () => {
  await using scope = await TemplateHome.create();
  const { home } = scope;
  const created = await make(home, keyA);
  assert.ok(created !== null);
  await utimes(created.paths.record, longAgo, longAgo);
  assert.ok((await openTemplate(home, keyA)).template !== null);
  assert.ok((await stat(created.paths.record)).mtime > longAgo);
});

test("where others can write everything, nothing is used and nothing removed", async () => {
  await using scope = await TemplateHome.create();
  const { home } = scope;
  await make(home, keyA);
  await chmod(home.templates, 0o777);
  const opened = await openTemplate(home, keyA);
  assert.equal(opened.template, null);
  assert.match(
    opened.dropped?.reason ?? "",
    /^the directory of all templates can be written by other users$/,
  );
  assert.equal(opened.dropped?.isRemoved, false);
  await chmod(home.templates, 0o700);
  assert.ok((await openTemplate(home, keyA)).template !== null);
});

test("a directory of templates may be a link; one that leads nowhere is as good as none", async () => {
  await using scope = await TemplateHome.create();
  const { home } = scope;
  const elsewhere = join(home.root, "elsewhere");
  await rm(home.templates, { recursive: true });
  await mkdir(elsewhere, { mode: 0o700 });
  await symlink(elsewhere, home.templates);
  await make(home, keyA);
  assert.ok((await openTemplate(home, keyA)).template !== null);
  await rm(elsewhere, { recursive: true });
  assert.deepEqual(await openTemplate(home, keyA), { template: null, unusable: null, dropped: null });
  await rm(home.templates);
  await symlink("templates", home.templates);
  assert.match((await openTemplate(home, keyA)).dropped?.reason ?? "", /^it cannot be looked at \(ELOOP\)$/);
});

test("only the template that was seen is removed, not the one in its place", async () => {
  await using scope = await TemplateHome.create();
  const { home } = scope;
  const first = await make(home, keyA);
  const second = await make(home, keyA);
  assert.ok(first !== null && second !== null);
  assert.equal(await removeTemplate(home, first), false);
  assert.equal(await dropTemplate(home, first), false);
  assert.deepEqual((await openTemplate(home, keyA)).template, second);
  assert.equal(await removeTemplate(home, second), true);
  assert.equal(await removeTemplate(home, second), false);
  assert.deepEqual(await readdir(home.templates), []);
});
