import "../../../internet/namespace.ts";
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { before, test } from "node:test";
import { buffer } from "node:stream/consumers";
import type { NetworkRateLimiterConfig, Sandbox } from "../../../../src/index.ts";
import { places } from "../../../internet/places.ts";
import type { Needs } from "../../tags.ts";
import { furnish, onTheInternet, said, useInternet } from "../network-support.ts";

export const needs: Needs = ["running", "internet"];

/*
 * Rate limits, and programs that know nothing of them. However slow the host is, a bucket lets no more pass than was in it and what has
 * flowed in since, and one frame more: from that comes the least time that a transfer takes.
 */

const timeout = 120_000;
const rate = 400_000;
const bytes = 1_200_000;
/** A bucket with a second's bytes in it; a frame passes as a whole. */
const least = ((bytes - rate - 65_536) / rate) * 1000;

const { internet } = await useInternet();
let sandbox: Sandbox;
let port = 0;
before(async () => {
  sandbox = await onTheInternet("limited")
    .network((n) => n.port(0, 7).rateLimiter((l) => l.ingress((i) => i.bandwidth(rate, 1000))))
    .create();
  await furnish(sandbox, internet, "serve.py");
  await sandbox.execStream("python3", ["/tmp/serve.py"]);
  port = (await sandbox.ports())[0]?.hostPort ?? 0;
  await sandbox.waitForPort(7);
});

const limit = async (limiter: Partial<NetworkRateLimiterConfig> | null): Promise<void> => {
  const rateLimiter = limiter === null ? null : { egress: null, ingress: null, ...limiter };
  await sandbox.updateNetwork({ rateLimiter });
};
const bandwidth = (size: number, oneTimeBurst = 0): NetworkRateLimiterConfig["egress"] => ({
  bandwidth: { size, refillTimeMs: 1000, oneTimeBurst },
  ops: null,
});
const ops = (size: number): NetworkRateLimiterConfig["egress"] => ({
  bandwidth: null,
  ops: { size, refillTimeMs: 1000, oneTimeBurst: 0 },
});

/** @returns how long it took, ms */
async function timed(work: () => Promise<unknown>): Promise<number> {
  const begun = performance.now();
  await work();
  return performance.now() - begun;
}

const download = (): Promise<number> =>
  timed(async () =>
    assert.equal(await said(sandbox, `curl -sS http://v4.example.com/bytes/${bytes} | wc -c`), String(bytes)),
  );
const upload = (): Promise<number> =>
  timed(async () =>
    assert.match(
      await said(sandbox, `head -c ${bytes} /dev/zero | curl -sS -T - http://v4.example.com/count`),
      new RegExp(`^${bytes} `),
    ),
  );

test("what comes in takes its time, and nothing else of the sandbox does", { timeout }, async () => {
  let isOver = false;
  const limited = download().finally(() => (isOver = true));
  // Commands do not go by the network.
  assert.equal(await said(sandbox, "echo meanwhile"), "meanwhile");
  assert.equal(isOver, false);
  // What goes out has no limit: the bucket of what comes in has to pay for acknowledgments alone.
  const ms = await limited;
  assert.ok(ms >= least, `${ms} ms`);
  await limit(null);
  const free = await download();
  assert.ok(free < ms, `${free} ms without a limit, ${ms} ms with one`);
});

test("what goes out takes its time, and begins with a burst once", { timeout }, async () => {
  await limit({ egress: bandwidth(rate) });
  const limited = await upload();
  assert.ok(limited >= least, `${limited} ms`);
  await limit({ egress: bandwidth(rate, 2 * bytes) });
  const first = await upload();
  // Twice as much has gone, and more with the headers: the burst is used up.
  await upload();
  const third = await upload();
  assert.ok(third >= least, `${third} ms after the burst`);
  assert.ok(first < third, `${first} ms with a burst, ${third} ms without`);
});

test("what goes out of a published port counts as well", { timeout }, async () => {
  const echo = async (): Promise<void> => {
    const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    await once(socket, "connect");
    socket.end(Buffer.alloc(bytes));
    assert.equal((await buffer(socket)).length, bytes);
  };
  await limit({ egress: bandwidth(rate) });
  const limited = await timed(echo);
  assert.ok(limited >= least, `${limited} ms`);
  await limit(null);
  assert.ok((await timed(echo)) < limited);
});

test("frames are counted too, and none is lost", { timeout }, async () => {
  await sandbox.fs().write(
    "/tmp/datagrams.py",
    `
import socket
one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
one.connect(("${places.host4}", 7))
one.settimeout(60)
for number in range(40): one.send(b"%d" % number)
print(len({one.recv(99) for _ in range(40)}))`,
  );
  const exchange = (): Promise<number> =>
    timed(async () => assert.equal(await said(sandbox, "python3 /tmp/datagrams.py"), "40"));
  // Ten pass at once, and then ten a second.
  await limit({ egress: ops(10) });
  const limited = await exchange();
  assert.ok(limited >= 2900, `${limited} ms`);
  await limit(null);
  assert.ok((await exchange()) < limited);
});
