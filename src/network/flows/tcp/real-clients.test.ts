import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { createSecureServer } from "node:http2";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { after, before, describe, it } from "node:test";
import { networkConfig } from "../../../../test/support/network/guest-peer.ts";
import { KernelGuest } from "../../../../test/support/tcp/kernel-guest.ts";
import { InterceptedBench } from "../../../../test/support/tls/intercepted-bench.ts";
import { interceptionOf } from "../../../../test/support/tls/intercepted-network.ts";
import type { NetworkEvent, TlsFailed } from "../../events.ts";
import { openGateway } from "../../gateway.ts";
import { PublishedPorts } from "../ports/published-ports.ts";

/** What a program said, and how it ended. */
async function result(
  child: ChildProcess,
  input = "",
): Promise<{ said: string; failed: string; code: number }> {
  assert.ok(child.stdout !== null && child.stderr !== null && child.stdin !== null);
  child.stdin.end(input);
  const exit = once(child, "exit") as Promise<[number]>;
  const [said, failed] = await Promise.all([text(child.stdout), text(child.stderr)]);
  return { said, failed, code: (await exit)[0] };
}

describe("programs of the guest, by its own kernel", () => {
  let bench: InterceptedBench;
  let guest: KernelGuest;
  let ca: string;
  before(async () => {
    bench = await InterceptedBench.make();
    guest = await KernelGuest.start(1500);
    ca = join(bench.root.directory, "sandbox.pem");
    await writeFile(ca, bench.authority.pem);
  });
  after(async () => {
    await guest[Symbol.asyncDispose]();
    await bench[Symbol.asyncDispose]();
  });

  it("openssl and curl speak through it, and say what they are told", async () => {
    const http = createSecureServer({ ...bench.good, allowHTTP1: true }, (request, response) => {
      request.resume().on("end", () => response.end(`by HTTP/${request.httpVersion}`));
    });
    const port = await bench.listen(http);
    const expired = await bench.echo(await bench.root.certificate("good.test", { days: -1 }));
    const config = networkConfig();
    const ports = await PublishedPorts.bind(config.ports, () => undefined);
    const events: NetworkEvent[] = [];
    const warnings: string[] = [];
    await using _gateway = await openGateway({
      link: guest.link,
      addresses: guest.addresses,
      config,
      ports,
      interception: interceptionOf({
        authority: bench.authority,
        hostRoot: bench.hostRoot,
        tls: { interceptedPorts: [port, expired] },
      }),
      event: (event) => events.push(event),
      warn: (message) => warnings.push(message),
    });
    const url = (to: number): string => `https://good.test:${to}/`;
    const curl = (to: number, ...args: string[]): Promise<{ said: string; failed: string; code: number }> => {
      const resolve = `good.test:${to}:172.16.0.1`;
      return result(guest.spawn("curl", ["-sS", "--cacert", ca, "--resolve", resolve, ...args, url(to)]));
    };
    for (const [args, said] of [
      [["--http1.1"], "by HTTP/1.1"],
      [["--http2"], "by HTTP/2.0"],
      [["--http2", "--tls-max", "1.2"], "by HTTP/2.0"],
      [["--data-binary", `@${join(bench.root.directory, "ca.pem")}`], "by HTTP/2.0"],
    ] as const)
      assert.deepEqual(await curl(port, ...args), { said, failed: "", code: 0 }, args.join(" "));
    const turnedAway = await curl(expired);
    assert.match(turnedAway.failed, /certificate (?:verification failed|(?:has )?expired)/);
    assert.equal(turnedAway.said, "");

    const client = (to: number, ...args: string[]): Promise<{ said: string; failed: string; code: number }> =>
      result(
        guest.spawn("openssl", [
          ...["s_client", "-connect", `172.16.0.1:${to}`, "-servername", "good.test", "-CAfile", ca],
          ...["-verify_return_error", "-ign_eof", ...args],
        ]),
        "GET / HTTP/1.1\r\nHost: good.test\r\nConnection: close\r\n\r\n",
      );
    for (const version of ["-tls1_2", "-tls1_3"]) {
      const { said } = await client(port, version);
      assert.match(said, /Verify return code: 0 \(ok\)/);
      assert.match(said, /by HTTP\/1.1/);
    }
    assert.match((await client(expired)).failed, /alert certificate expired/);
    // Who has a certificate of its own is not asked for it.
    assert.doesNotMatch((await client(port)).said, /Acceptable client certificate CA names/);
    const failures = events.filter((event): event is TlsFailed => event.kind === "tls-failed");
    assert.deepEqual(
      failures.map(({ side, reason }) => [side, reason]),
      [
        ["server", "CERT_HAS_EXPIRED"],
        ["server", "CERT_HAS_EXPIRED"],
      ],
    );
    assert.deepEqual(warnings, []);
  });
});
