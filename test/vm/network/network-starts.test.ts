import "../../internet/namespace.ts";
import assert from "node:assert/strict";
import { test } from "node:test";
import { Destination, NetworkPolicy, Rule, Sandbox } from "../../../src/index.ts";
import { places } from "../../internet/places.ts";
import type { Needs } from "../tags.ts";
import { onTheInternet, said, useInternet } from "./network-support.ts";

export const needs: Needs = ["boots", "internet"];

// The policy holds however a sandbox came to run. The round without templates does the same with kernels that boot.

const timeout = 240_000;
const { internet } = await useInternet();

async function assertHolds(sandbox: Sandbox): Promise<void> {
  await internet.wire.take();
  const script = `
    curl -sS -m 20 http://example.com/hello; curl -sS -6 -m 20 http://example.com/hello
    for each in ${places.private4} [${places.private6}] ${places.metadata4} ${places.host4}:7; do
      curl -s -m 5 -o /dev/null http://$each/hello; echo $?; done
    ip route get ${places.host4} | head -n 1 | cut -d' ' -f2; cat /etc/resolv.conf | cut -d' ' -f1 | sort -u; grep -c host.microsandbox.internal /etc/hosts`;
  const lines = (await said(sandbox, script)).split("\n");
  assert.match(lines[0] ?? "", /^hello from \S+ as example.com$/);
  // 7: refused at once. The port of the echo server is not HTTP: 1, or 52 for no answer.
  assert.deepEqual(lines.slice(1, 5), [`hello from ${places.host6} as example.com`, "7", "7", "7"]);
  assert.deepEqual(lines.slice(6), ["via", "nameserver", "2"]);
  await internet.wire.nothingTo(places.private4, places.private6, places.metadata4);
}

test("when it is new, and when it starts again", { timeout }, async () => {
  const sandbox = await onTheInternet("again").create();
  await assertHolds(sandbox);
  await sandbox.stop();
  const again = await (await Sandbox.get("again")).start();
  await assertHolds(again);
  await again.kill();
});

test("several from one template, at once", { timeout }, async () => {
  const all = await Promise.all(["one", "two"].map((name) => onTheInternet(name).create()));
  // Nobody else is on the cable, so all of them have the same addresses.
  const own = await Promise.all(
    all.map((sandbox) => said(sandbox, "ip -o addr show eth0 scope global | tr -s ' ' | cut -d' ' -f4")),
  );
  assert.deepEqual(own[0], own[1]);
  for (const sandbox of all) await assertHolds(sandbox);
  for (const sandbox of all) await sandbox.kill();
});

test(
  "a tenant reaches nothing but what is public, whatever its own policy says, and that is told",
  { timeout },
  async () => {
    const sandbox = await onTheInternet("tenant")
      .deploymentProfile("multi-tenant")
      .network((n) => n.policy(NetworkPolicy.allowAll()))
      .create();
    await internet.wire.take();
    const inside = [places.private4, places.metadata4, "172.16.0.1"];
    const script = `
    curl -sS -m 20 http://example.com/hello
    for each in ${inside.join(" ")}; do curl -s -m 5 -o /dev/null http://$each/hello; echo $?; done`;
    const [hello, ...codes] = (await said(sandbox, script)).split("\n");
    assert.match(hello ?? "", /^hello from \S+ as example.com$/);
    assert.deepEqual(codes, ["7", "7", "7"]);
    await internet.wire.nothingTo(places.private4, places.metadata4);
    const refused: string[] = [];
    for await (const event of sandbox.networkEvents())
      if (event.kind === "flow-denied" && event.reason === "platform") refused.push(event.address);
    assert.deepEqual(refused, inside);
    const addRules = [Rule.allowEgress(Destination.group("private"))];
    await assert.rejects(sandbox.updateNetwork({ addRules }), /would have no effect/);
    await sandbox.kill();
  },
);

test("without a network there is no interface but the loopback", { timeout }, async () => {
  const sandbox = await onTheInternet("alone").disableNetwork().create();
  await internet.wire.take();
  assert.equal(
    await said(
      sandbox,
      "ls /sys/class/net; ping -c 1 -W 1 127.0.0.1 > /dev/null && echo up; curl -s -m 5 http://93.184.216.34/ || echo none",
    ),
    "lo\nup\nnone",
  );
  assert.deepEqual(await internet.wire.take(), []);
  await sandbox.kill();
});
