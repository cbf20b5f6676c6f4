import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { chmod, mkdir, open, readdir, symlink, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import {
  Patch,
  PatchFailedError,
  Sandbox,
  SandboxNotFoundError,
  type PatchConfig,
  type SandboxBuilder,
} from "../../../src/index.ts";
import { smallMemory } from "../lifecycle-support.ts";
import { MsbHome } from "../cli/cli-support.ts";
import { useTemporaryHome } from "../support.ts";
import type { Needs } from "../tags.ts";

export const needs: Needs = ["running"];

const home = useTemporaryHome();
const tree = join(home, "tree");
const large = randomBytes(5 * 1024 * 1024);
/** Longer than a message may be. */
const longScript = `#!/bin/sh\necho ran\n${"#".repeat(79).concat("\n").repeat(60_000)}`;

before(async () => {
  await mkdir(join(tree, "sub/empty"), { recursive: true });
  await mkdir(join(home, "etc"));
  await writeFile(join(home, "etc/hosts"), "127.0.0.1 mine\n");
  await writeFile(join(tree, "script"), "#!/bin/sh\necho from the host\n", { mode: 0o755 });
  await writeFile(join(tree, "sub/large"), large);
  await writeFile(Buffer.concat([Buffer.from(`${tree}/`), Buffer.from([0xff, 0xfe])]), "bytes");
  await symlink("../script", join(tree, "sub/link"));
  await utimes(join(tree, "script"), 1000, 1000);
  await chmod(join(tree, "sub/empty"), 0o550);
  await using sparse = await open(join(tree, "sparse"), "wx");
  await sparse.truncate(256 * 1024 * 1024);
  await sparse.write("end", 256 * 1024 * 1024 - 3);
});

function small(name: string): SandboxBuilder {
  return Sandbox.builder(name).image("localhost/base").memory(smallMemory);
}

async function printed(sandbox: Sandbox, script: string): Promise<string> {
  const output = await sandbox.shell(script);
  assert.equal(output.code, 0, `${script}: ${output.stderr()}`);
  return output.stdout().trimEnd();
}

describe("a patched sandbox", () => {
  let sandbox: Sandbox;

  before(async () => {
    sandbox = await small("patched")
      .patch((p) =>
        p.text("/srv/a/b/text", "one\n").file("/srv/bytes", Buffer.from([0, 255, 10]), { mode: 0o600 }),
      )
      .patch((p) =>
        p.append("/srv/a/b/text", "two\n").append("/etc/passwd", "added:x:1234:1234::/:/bin/sh\n"),
      )
      .addPatch(Patch.copyFile(join(tree, "script"), "/srv/script"))
      .addPatch(Patch.copyFile(join(tree, "script"), "/srv/script-640", { mode: 0o640 }))
      .patch((p) =>
        p
          .copyDir(tree, "/srv/tree")
          .mkdir("/srv/tree/own", { mode: 0o700 })
          .text("/srv/tree/sub/large", "small", { replace: true })
          .copyDir(join(tree, "sub"), "/srv/tree/sub", { replace: true })
          .text("/srv/tree/sub/kept", "kept")
          .copyDir(join(tree, "sub"), "/srv/tree/sub", { replace: true }),
      )
      .patch((p) =>
        p
          .symlink("/srv/../srv/a", "/to-a")
          .text("/to-a/through", "through a link\n")
          .symlink("../../../../../../../etc", "/srv/up")
          .text("/srv/up/from-up", "still in the guest\n")
          .symlink("/srv/missing", "/dangling")
          .text("/dangling/made", "made behind the link\n"),
      )
      .patch((p) =>
        p
          .text("/srv/linked", "the target\n")
          .symlink("/srv/linked", "/srv/link")
          .text("/srv/link", "in its place\n", { replace: true })
          .mkdir("/srv/full/of/things")
          .text("/srv/full", "a file now\n", { replace: true })
          .remove("/etc/shells")
          .remove("/srv/no/such/thing")
          .remove("/usr/share")
          .mkdir("/etc", { mode: 0o700 }),
      )
      .patch((p) => p.text("/gone", "first").remove("/gone").text("/gone", "second"))
      .patch((p) =>
        p
          .mkdir("/run/service", { mode: 0o711 })
          .symlink("/run", "/srv/run")
          .text("/srv/run/through", "in the root\n")
          .text("/tmp/kept", "kept\n"),
      )
      .scripts({ long: longScript, short: "#!/bin/sh\necho short\n" })
      .create();
  });
  after(() => sandbox.destroy({ force: true }));

  test("has all of them, in their order", async () => {
    assert.equal(await printed(sandbox, "cat /srv/a/b/text"), "one\ntwo");
    assert.equal(await printed(sandbox, "od -An -tx1 /srv/bytes"), " 00 ff 0a");
    assert.equal(await printed(sandbox, "grep -c added /etc/passwd; grep -c root /etc/passwd"), "1\n1");
    assert.equal(await printed(sandbox, "/srv/script"), "from the host");
    assert.equal(await printed(sandbox, "cat /gone"), "second");
  });

  test("has their modes, and everything is root's and new", async () => {
    const modes =
      "stat -c '%a %u:%g' /srv /srv/a /srv/a/b/text /srv/bytes /srv/script /srv/script-640 /srv/tree/own";
    assert.deepEqual((await printed(sandbox, modes)).split("\n"), [
      ...["755 0:0", "755 0:0", "644 0:0", "600 0:0", "755 0:0", "640 0:0", "700 0:0"],
    ]);
    const age = await printed(sandbox, "echo $(( $(date +%s) - $(stat -c %Y /srv/script) ))");
    assert.ok(Number(age) < 3600, `${age} s old`);
    assert.equal(await printed(sandbox, "stat -c %a /etc"), "755");
  });

  test("has copied trees as they are, and gone into those that were there", async () => {
    const sum = createHash("sha256").update(large).digest("hex");
    assert.equal((await printed(sandbox, "sha256sum /srv/tree/sub/large")).split(" ")[0], sum);
    assert.equal(
      await printed(sandbox, "cat /srv/tree/sub/kept; readlink /srv/tree/sub/link"),
      "kept../script",
    );
    assert.equal(await printed(sandbox, "stat -c %a /srv/tree/sub/empty"), "550");
    assert.equal(
      await printed(sandbox, "ls /srv/tree | wc -l; cat /srv/tree/$(printf '\\377\\376')"),
      "5\nbytes",
    );
    assert.equal(
      await printed(sandbox, "stat -c '%s' /srv/tree/sparse; tail -c 3 /srv/tree/sparse"),
      `${2 ** 28}\nend`,
    );
    assert.ok(Number(await printed(sandbox, "stat -c %b /srv/tree/sparse")) < 1000);
  });

  test("has what links led to in the guest, and nothing on the host", async () => {
    assert.equal(
      await printed(sandbox, "cat /srv/a/through /etc/from-up"),
      "through a link\nstill in the guest",
    );
    assert.equal(await printed(sandbox, "cat /srv/missing/made"), "made behind the link");
    for (const path of ["/etc/from-up", "/srv/a", "/srv/missing"]) assert.ok(!existsSync(path), path);
  });

  test("has what was replaced and not what was removed", async () => {
    assert.equal(
      await printed(sandbox, "cat /srv/linked /srv/link /srv/full"),
      "the target\nin its place\na file now",
    );
    assert.equal(
      await printed(
        sandbox,
        "test ! -L /srv/link && test ! -e /etc/shells && test ! -e /usr/share && echo so",
      ),
      "so",
    );
  });

  const inMemory = "stat -c '%a %u:%g' /run/service; cat /run/through /tmp/kept; stat -c %a /tmp";
  const below = ["711 0:0", "in the root", "kept", "1777"].join("\n");

  test("has what was put into the root where memory is over it", async () => {
    assert.equal(await printed(sandbox, inMemory), below);
    await printed(sandbox, "echo lost | tee /run/lost > /run/through; rm /tmp/kept");
  });

  test("has scripts of any length", async () => {
    assert.equal(await printed(sandbox, "long; short"), "ran\nshort");
  });

  test("keeps them, and they are not applied again", async () => {
    const started = sandbox.startReport;
    assert.ok(started !== null);
    if (process.env["MSB_TEMPLATES"] !== "off") assert.notEqual(started.route, "cold", started.reason);
    await printed(sandbox, "rm -r /srv/tree /gone; echo changed > /srv/script");
    await sandbox.stop();
    sandbox = await Sandbox.start("patched");
    assert.equal(await printed(sandbox, "cat /srv/a/b/text /srv/script"), "one\ntwo\nchanged");
    // What a program changed there was in memory.
    assert.equal(await printed(sandbox, `${inMemory}; test ! -e /run/lost && echo so`), `${below}\nso`);
    assert.equal(
      await printed(
        sandbox,
        "grep -c added /etc/passwd; test ! -e /gone; long; test ! -e /etc/shells && echo so",
      ),
      "1\nran\nso",
    );
  });

  test("tells them as it was given them", async () => {
    const patches = (await Sandbox.get("patched")).config().patches;
    assert.equal(patches.length, 34);
    const bytes = patches.find(({ kind }) => kind === "file");
    assert.deepEqual(bytes, {
      kind: "file",
      path: "/srv/bytes",
      content: Buffer.from([0, 255, 10]),
      mode: 0o600,
      replace: false,
    });
  });
});

const failing: Record<string, readonly [patch: PatchConfig, message: RegExp, errno: number | null]> = {
  "what is there already": [Patch.text("/etc/passwd", "x"), /File exists/, 17],
  "a link that is there": [
    Patch.symlink("x", "/etc/mtab-or-so/../passwd".replace("/mtab-or-so/..", "")),
    /File exists/,
    17,
  ],
  "a directory that is there": [Patch.copyDir("/etc/ssl", "/etc"), /File exists/, 17],
  "a parent that is a file": [Patch.text("/etc/passwd/below", "x"), /Not a directory/, 20],
  "a directory where a file is": [Patch.mkdir("/etc/passwd"), /Not a directory/, 20],
  "the end of a file that is not there": [Patch.append("/etc/nothing", "x"), /No such file/, 2],
  "the end of a directory": [Patch.append("/etc", "x"), /Is a directory/, 21],
  "the kernel's file systems": [
    Patch.text("/proc/sys/kernel/hostname", "x", { replace: true }),
    /not part of the root/,
    null,
  ],
  "the agent's directory": [Patch.text("/.msb/scripts/x", "x"), /not part of the root/, null],
  "what each start writes": [Patch.text("/etc/hostname", "x", { replace: true }), /at each start/, null],
  "a tree with what each start writes": [
    Patch.copyDir(join(home, "etc"), "/etc", { replace: true }),
    /at each start \(open \/etc\/hosts\)/,
    null,
  ],
};

test("a patch that fails is named, and leaves no sandbox", async () => {
  for (const [what, [patch, message, errno]] of Object.entries(failing)) {
    const creating = small("failing")
      .patch((p) => p.mkdir("/before"))
      .addPatch(patch)
      .create();
    await assert.rejects(creating, (error) => {
      assert.ok(error instanceof PatchFailedError, `${what}: ${String(error)}`);
      assert.match(error.message, message, what);
      assert.equal(error.kind, patch.kind, what);
      assert.equal(error.path, patch.path ?? patch.dst ?? patch.link, what);
      assert.equal(error.errno, errno, what);
      assert.notEqual(error.hint, "", what);
      return true;
    });
    await assert.rejects(Sandbox.get("failing"), SandboxNotFoundError, what);
    assert.deepEqual(
      (await readdir(join(home, "sandboxes"))).filter((name) => name.includes("failing")),
      [],
    );
  }
});

test("a source that cannot be copied is named before anything is made", async () => {
  for (const patch of [
    Patch.copyFile(join(home, "missing"), "/x"),
    Patch.copyFile(tree, "/x"),
    Patch.copyDir(join(tree, "script"), "/x"),
  ]) {
    await assert.rejects(small("early").addPatch(patch).create(), PatchFailedError);
  }
  const special = join(home, "special");
  await mkdir(special);
  execFileSync("mkfifo", [join(special, "pipe")]);
  const creating = small("early")
    .patch((p) => p.copyDir(special, "/special"))
    .create();
  await assert.rejects(creating, /special\/pipe is a device, a pipe or a socket/);
  await assert.rejects(Sandbox.get("early"), SandboxNotFoundError);
});

test("what an agent writes at each start is there, whatever a patch did to its place", async () => {
  await using sandbox = await small("replaced-etc")
    .patch((p) => p.remove("/etc").symlink("/proc/nothing", "/etc-link"))
    .create();
  assert.equal(await printed(sandbox, "cat /etc/hostname"), "replaced-etc");
  await sandbox.kill();
});

test("msb removes, makes directories and copies before the first command", async () => {
  await using msb = new MsbHome();
  const copies = ["--copy", `${tree}/script:/srv/x/script`, "--copy-dir", `${tree}/sub:/srv/x/sub`];
  const into = ["--copy", `${tree}/script:/etc/`, "--copy", `${tree}/sparse:/srv/x`];
  const changes = [
    "--rm",
    "/etc/shells",
    "--mkdir",
    "/srv/x",
    ...copies,
    ...into,
    "--copy-file",
    `${tree}/script:/etc/passwd`,
  ];
  const command =
    "/etc/script; ls /srv/x; ls /srv/x/sub; head -n 1 /etc/passwd; test -e /etc/shells || echo gone";
  const result = await msb.msb(
    "run",
    "-q",
    "-m",
    `${smallMemory}M`,
    ...changes,
    "localhost/base",
    "--",
    "sh",
    "-c",
    command,
  );
  assert.equal(
    result.stdout,
    "from the host\nscript\nsparse\nsub\nempty\nlarge\nlink\n#!/bin/sh\ngone\n",
    result.stderr,
  );
  await mkdir(join(home, "files"));
  await writeFile(join(home, "files/etc"), "");
  for (const [option, value, why] of [
    ["--mkdir", "/etc/passwd", /the patch mkdir \/etc\/passwd failed/],
    ["--copy", `${home}/files/etc:/`, /the patch copyFile \/etc failed.*directory/],
  ] as const) {
    const failed = await msb.msb("run", "-q", option, value, "localhost/base", "--", "true");
    assert.notEqual(failed.code, 0);
    assert.match(failed.stderr, why);
  }
});
