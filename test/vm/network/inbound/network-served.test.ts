import "../../../internet/namespace.ts";
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { Agent as HttpAgent, get, type IncomingMessage } from "node:http";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { before, describe, test } from "node:test";
import { text } from "node:stream/consumers";
import { Agent, Pool, request } from "undici";
import type { Sandbox } from "../../../../src/index.ts";
import { own, places } from "../../../internet/places.ts";
import { eventually, printed } from "../../support.ts";
import type { Needs } from "../../tags.ts";
import { furnish, onTheInternet, succeeds, useInternet } from "../network-support.ts";

export const needs: Needs = ["running", "internet"];

// Debian's own servers in a guest, and on the host the programs that people reach them with.

const timeout = 120_000;
/** Its client has one port for its TCP and its UDP. */
const iperf = 5201;

const { internet } = await useInternet();
let sandbox: Sandbox;
/** Ports of the host by those of the guest. */
const at = new Map<number, number>();
before(async () => {
  sandbox = await onTheInternet("served")
    .volume("/node", (m) => m.bind(dirname(process.execPath)).readonly())
    .network((n) =>
      n
        .port(0, 22)
        .port(0, 6379)
        .port(0, 8000)
        .port(iperf, iperf)
        .portUdp(iperf, iperf)
        .portBind("0.0.0.0", 8080, 8080, { proxyProtocol: true })
        .portBind("::", 8080, 8080, { proxyProtocol: true }),
    )
    .create();
  for (const { guestPort, hostPort } of await sandbox.ports()) at.set(guestPort, hostPort);
  await furnish(sandbox, internet, "web.js", "nginx.conf");
  await internet.tree.shell(
    "ssh-keygen -q -t ed25519 -N '' -f /srv/key; head -c 1000000 /dev/urandom > /srv/random",
  );
  await sandbox.fs().write("/tmp/key.pub", readFileSync(join(internet.tree.root, "srv/key.pub")));
  await sandbox.fs().write("/srv/random", readFileSync(join(internet.tree.root, "srv/random")));
  await succeeds(
    sandbox,
    `
    mkdir -p /run/sshd /root/.ssh /srv/www; cp /tmp/key.pub /root/.ssh/authorized_keys; chmod 700 /root /root/.ssh
    /usr/sbin/sshd
    redis-server --daemonize yes --bind '*' --protected-mode no --save '' --dir /tmp > /dev/null
    iperf3 -s -D
    nginx -c /tmp/nginx.conf
    (python3 -m http.server 8000 -d /srv > /tmp/web.log 2>&1 &)`,
  );
  await printed(await sandbox.execStream("/node/node", ["/tmp/web.js"]));
  for (const port of [22, 6379, 8000, 8080, iperf]) await sandbox.waitForPort(port);
});

/** Runs a script on the host, with the ports as variables such as `$p22`. */
const onTheHost = (script: string): Promise<string> =>
  internet.tree.shell([...at].map(([guest, host]) => `p${guest}=${host};`).join(" ") + script);

const ssh =
  "ssh -q -S /tmp/control -i /srv/key -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -p $p22";

test("ssh: a command and its code, files both ways, a port of the guest's own", { timeout }, async () => {
  // One connection for all: its beginning is seconds of arithmetic in an emulated guest.
  const script = `
    ${ssh} -fNM -o ExitOnForwardFailure=yes -L 16379:127.0.0.1:6379 root@127.0.0.1
    ${ssh} root@127.0.0.1 'hostname; exit 3' || echo $?
    ${ssh} root@127.0.0.1 'cat > /srv/copy; cmp /srv/copy /srv/random && echo same' < /srv/random
    ${ssh} root@127.0.0.1 'cat /srv/random' | cmp - /srv/random
    redis-cli -p 16379 ping; ${ssh} -O exit root@127.0.0.1`;
  assert.equal(await onTheHost(script), "served\n3\nsame\nPONG\n");
});

test("redis: commands, a pipeline, a subscription, fifty clients at once", { timeout }, async () => {
  const script = `
    redis="redis-cli -p $p6379"
    $redis set key value; $redis get key; $redis -x set large < /srv/random; $redis strlen large
    seq 5000 | sed 's/.*/INCR counter/' | $redis --pipe | tail -n 1
    $redis subscribe news > /tmp/news & echo $! > /tmp/sub; until $redis pubsub channels | grep -q news; do :; done
    $redis publish news extra; until grep -q extra /tmp/news; do :; done; kill $(cat /tmp/sub); tail -n 1 /tmp/news
    redis-benchmark -p $p6379 -q -c 50 -n 2000 -t set,lpush | tr '\\r' '\\n' | grep -c 'requests per second'`;
  assert.equal(await onTheHost(script), "OK\nvalue\nOK\n1000000\nerrors: 0, replies: 5000\n1\nextra\n2\n");
});

test("iperf3: to the guest, from it, several streams, UDP", { timeout }, async () => {
  for (const options of ["", "-R", "-P 4", "-u -b 20M", "-u -b 20M -R"]) {
    const result = await onTheHost(`iperf3 -c 127.0.0.1 -p $p${iperf} ${options} -t 1 -J`);
    const { end } = JSON.parse(result) as Record<
      "end",
      Partial<Record<"sum" | "sum_received", { bytes: number }>>
    >;
    assert.ok(((end.sum_received ?? end.sum)?.bytes ?? 0) > 500_000, `${options}: ${JSON.stringify(end)}`);
  }
});

test("Python's web server: curl, wget, and many of them at once", { timeout }, async () => {
  const script = `
    url=http://127.0.0.1:$p8000; curl -sS $url/random | cmp - /srv/random; wget -q -O - $url/random | cmp - /srv/random
    curl -sS -o /dev/null -w '%{http_code}\\n' $url/none; curl -sS -I $url/random | grep -i content-length
    seq 60 | xargs -P 20 -I N curl -sS $url/random?N -o /dev/null -w '%{size_download}\\n' | sort | uniq -c`;
  assert.match(await onTheHost(script), /^404\ncontent-length: 1000000\r\n +60 1000000\n$/i);
});

test("nginx knows who comes, by the PROXY protocol", { timeout }, async () => {
  const ask = (from: string, to: string): Promise<string> =>
    onTheHost(`curl -sS --interface ${from} --local-port 40000-40999 "http://${to}:$p8080/"`);
  for (const [from, to] of [
    [places.other4, own.v4],
    [places.private4, "127.0.0.1"],
  ] as const)
    assert.match(
      await ask(from, to),
      new RegExp(`^${from}:40\\d{3} ${to}:8080 through 172\\.16\\.0\\.1\\n$`),
    );
  const said = await ask(places.other6, `[${own.v6}]`);
  assert.match(said, new RegExp(`^${places.other6}:40\\d{3} ${own.v6}:8080 through 172\\.16\\.0\\.1\\n$`));
});

describe("Node on the host, without a published port", () => {
  const url = "http://guest/";
  const random = randomBytes(3_000_000);
  const digest = createHash("sha256").update(random).digest("hex");

  test(
    "undici: one connection for all that come after another, few for many at once",
    { timeout },
    async () => {
      const askBy = async (dispatcher: Agent): Promise<string> =>
        (await request(url, { dispatcher })).body.text();
      await using single = asyncClosed(new Agent({ connect: sandbox.connector(8081), connections: 1 }));
      const first = await askBy(single.value);
      for (let count = 0; count < 5; count++) assert.equal(await askBy(single.value), first);
      await using some = asyncClosed(new Agent({ connect: sandbox.connector(8081), connections: 4 }));
      const peers = await Promise.all(Array.from({ length: 100 }, () => askBy(some.value)));
      assert.ok(new Set(peers).size <= 4, [...new Set(peers)].join());
    },
  );

  test("undici: bodies both ways, by requests that do not wait for each other", { timeout }, async () => {
    const pool = new Pool(url, { connect: sandbox.connector(8081), connections: 1, pipelining: 8 });
    const sizes = [0, 1, 70_000, 2_000_000];
    const bodies = await Promise.all(
      sizes.map(async (size) =>
        (await pool.request({ method: "GET", path: `/bytes?count=${size}` })).body.bytes(),
      ),
    );
    assert.deepEqual(
      bodies.map(({ length }) => length),
      sizes,
    );
    const { body } = await pool.request({ method: "POST", path: "/", body: random });
    assert.equal(await body.text(), digest);
    await pool.close();
  });

  test("undici: a connection that the guest ends is replaced", { timeout }, async () => {
    await using agent = asyncClosed(new Agent({ connect: sandbox.connector(8081), connections: 1 }));
    const ask = async (path: string): Promise<string> =>
      (await request(new URL(path, url), { dispatcher: agent.value })).body.text();
    const first = await ask("/");
    const gone = once(agent.value, "disconnect");
    assert.equal(await ask("/end"), "over");
    await gone;
    const second = await ask("/");
    assert.notEqual(second, first);
    assert.equal(await ask("/"), second);
  });

  test("Node's own fetch(), by a dispatcher of undici's", { timeout }, async () => {
    await using agent = asyncClosed(new Agent({ connect: sandbox.connector() }));
    const options = { dispatcher: agent.value } as unknown as RequestInit;
    const response = await fetch("http://any.name:8081/bytes?count=1000000", options);
    assert.equal((await response.bytes()).length, 1_000_000);
    const posted = await fetch("http://any.name:8081/", { ...options, method: "POST", body: random });
    assert.equal(await posted.text(), digest);
    await assert.rejects(fetch("http://any.name:4445/", options), (error: Error) => {
      assert.match(String(error.cause), /listens/);
      return true;
    });
  });

  test("http.Agent: keep-alive, and no more connections than it may have", { timeout }, async () => {
    const agent = sandbox.httpAgent(8081, { keepAlive: true, maxSockets: 3 });
    const ask = async (): Promise<string> => {
      const [response] = (await once(get({ agent, path: "/" }), "response")) as [IncomingMessage];
      return await text(response);
    };
    const first = await ask();
    assert.equal(await ask(), first);
    const peers = await Promise.all(Array.from({ length: 50 }, ask));
    assert.ok(new Set(peers).size <= 3, [...new Set(peers)].join());
    const open = "ss -Htn state established sport = :8081 | wc -l";
    assert.notEqual(await succeeds(sandbox, open), "0");
    agent.destroy();
    await eventually("its connections to end", async () =>
      (await succeeds(sandbox, open)) === "0" ? true : null,
    );
    // An agent of Node's own goes to the published port.
    const plain = new HttpAgent({ keepAlive: true });
    const [response] = (await once(
      get({ agent: plain, host: "127.0.0.1", port: at.get(8000) ?? 0, path: "/random" }),
      "response",
    )) as [IncomingMessage];
    assert.equal(response.statusCode, 200);
    response.resume();
    await once(response, "end");
    plain.destroy();
  });
});

/** Closes a dispatcher at the end of its block. */
function asyncClosed(value: Agent): AsyncDisposable & { readonly value: Agent } {
  return { value, [Symbol.asyncDispose]: () => value.close() };
}
