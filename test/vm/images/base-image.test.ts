import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Sandbox } from "../../../src/index.ts";
import { useTemporaryHome } from "../support.ts";
import type { Needs } from "../tags.ts";

export const needs: Needs = ["boots"];

// What the recipe in guest/ promises of the embedded image, looked at from inside.

useTemporaryHome();
let sandbox: Sandbox;
before(async () => {
  sandbox = await Sandbox.builder("base-image").image("localhost/base").memory(256).create();
});
after(async () => {
  // `before` may have failed half way.
  await (sandbox as Sandbox | undefined)?.stop();
});

async function lines(script: string): Promise<string[]> {
  const output = await sandbox.shell(script);
  assert.equal(output.code, 0, output.stderr());
  return output.stdout().trimEnd().split("\n");
}

test("users, groups and the owner of the home directory are as in /etc", async () => {
  assert.deepEqual(await lines("id sandbox; stat -c '%a %U %G' /root /tmp /home/sandbox /etc/shadow"), [
    "uid=1000(sandbox) gid=1000(sandbox) groups=1000(sandbox),100(users)",
    "700 root root",
    "1777 root root",
    "755 sandbox sandbox",
    "600 root root",
  ]);
  const output = await sandbox.execWith("sh", (command) =>
    command.args(["-lc", "cd && pwd && id -un && touch mine && stat -c %U mine"]).user("sandbox"),
  );
  assert.equal(output.stdout(), "/home/sandbox\nsandbox\nsandbox\n");
});

test("the applets of BusyBox are found, in all four directories", async () => {
  assert.deepEqual(await lines("which sh awk ip chroot"), [
    "/bin/sh",
    "/usr/bin/awk",
    "/sbin/ip",
    "/usr/sbin/chroot",
  ]);
  assert.deepEqual(await lines("find / -xdev -type l ! -exec test -e {} ';' -print | wc -l"), ["0"]);
});

test("the root is writable, ends in an ext4 disk of 4 GiB and keeps what is removed removed", async () => {
  const [total] = await lines("df -m / | awk 'END { print $2 }'");
  assert.ok(Number(total) > 3900 && Number(total) <= 4096, total);
  await lines("echo new > /etc/shells && rm /usr/bin/cal && mkdir /opt/tool && mv /srv /served");
  assert.deepEqual(
    await lines("cat /etc/shells; test -e /usr/bin/cal || echo gone; test -d /served && echo moved"),
    ["new", "gone", "moved"],
  );
});

test("a login shell has the usual environment and its scripts in the PATH", async () => {
  const [path] = await lines("sh -lc 'echo $PATH'");
  assert.match(
    path ?? "",
    /\/usr\/local\/sbin:\/usr\/local\/bin:\/usr\/sbin:\/usr\/bin:\/sbin:\/bin:\/\.msb\/bin$/,
  );
});
