import {
  addressRecord,
  aliasRecord,
  nameBytes,
  response,
  textRecord,
  types,
} from "../../internet/dns-message.ts";
import { places } from "../../internet/places.ts";
import type { Resolver } from "../../internet/resolver.ts";

/** What programs do on a network: each row is a script for a guest's shell, and what it must print. */
export interface ProgramRow {
  readonly name: string;
  readonly script: string;
  readonly prints: string | RegExp;
}

export const programRows: readonly ProgramRow[] = [
  {
    name: "curl: HTTP by name, over both families",
    script:
      "curl -sS -4 http://example.com/hello; curl -sS -6 http://example.com/hello; curl -sS -o /dev/null -w '%{http_code}' http://example.com/none",
    prints: "hello from 93.184.216.34 as example.com\nhello from 2606:2800:220:1::34 as example.com\n404",
  },
  {
    name: "curl: HTTPS, with a certificate that is checked",
    script:
      "curl -sS --cacert /tmp/ca.pem https://www.example.com/hello; curl -sS https://www.example.com/ 2>&1 | grep -o 'unable to get local issuer certificate'",
    prints: /^hello from \S+ as www.example.com\nunable to get local issuer certificate$/,
  },
  {
    name: "curl: a large body each way, byte for byte",
    script:
      "curl -sS http://example.com/bytes/20000000 | sha256sum | cut -d' ' -f1; head -c 5000000 /dev/zero > /tmp/zeros; sha256sum < /tmp/zeros | cut -d' ' -f1; curl -sS -T /tmp/zeros http://example.com/count",
    prints: /^(?<down>\w{64})\n(?<up>\w{64})\n5000000 \k<up>$/,
  },
  {
    name: "wget: a file by name, and a spider",
    script:
      "wget -q -O - http://v4.example.com/hello; wget -q -O - http://v6.example.com/hello; wget -S --spider http://example.com/bytes/77 2>&1 | grep -io 'content-length: 77'",
    prints:
      "hello from 93.184.216.34 as v4.example.com\nhello from 2606:2800:220:1::34 as v6.example.com\ncontent-length: 77",
  },
  {
    name: "git over HTTP: clone, push, fetch",
    script: `
      export HOME=/tmp GIT_TERMINAL_PROMPT=0
      git config --global user.name guest; git config --global user.email guest@example.com
      rm -rf /tmp/one /tmp/two
      git clone -q http://git.example.com/git/repository.git /tmp/one; cat /tmp/one/README
      git clone -q --depth 1 http://git.example.com/git/repository.git /tmp/two
      cd /tmp/one; echo "from the guest" > README; head -c 2000000 /dev/urandom > blob; git add .; git commit -qm second; git push -q origin main
      cd /tmp/two; git pull -q; cat README; cmp blob /tmp/one/blob; git fsck 2>/dev/null; git log --oneline | wc -l`,
    prints: "from the server\nfrom the guest\n2",
  },
  {
    name: "apt: a mirror is read, a package installed",
    script: `
      rm -rf /etc/apt/sources.list* /etc/apt/apt.conf.d/99mmdebstrap; mkdir -p /etc/apt/sources.list.d
      echo 'deb [trusted=yes] http://deb.example.com/debian ./' > /etc/apt/sources.list
      export LC_ALL=C DEBIAN_FRONTEND=noninteractive; apt-get -q update 2>&1 | grep -o '^Get:.* Packages'; apt-get -qq install -y small > /dev/null 2>&1; small-deb`,
    prints: /^Get:\d+ http:\/\/deb.example.com\/debian \.\/ Packages\nsmall from apt$/,
  },
  {
    name: "pip: a wheel from an index",
    script: `
      pip install -q --break-system-packages --disable-pip-version-check --root-user-action ignore --no-cache-dir \\
        --index-url http://pypi.example.com/simple --trusted-host pypi.example.com --target /tmp/pip small
      PYTHONPATH=/tmp/pip python3 -c 'import small; print(small.text)'`,
    prints: "small from pip",
  },
  {
    name: "npm: a package from a registry",
    script: `
      export HOME=/tmp; rm -rf /tmp/npm; mkdir -p /tmp/npm; cd /tmp/npm
      /node/node /npm/bin/npm-cli.js install --silent --no-audit --no-fund --no-update-notifier --registry http://registry.example.com/npm/ small > /dev/null
      /node/node -p 'require("small")'`,
    prints: "small from npm",
  },
  {
    name: "node: fetch (undici) with a streamed body, and plain sockets with half-close",
    script: `/node/node -e '
      const net = require("node:net");
      (async () => {
        const got = await fetch("http://example.com/bytes/1000000");
        let count = 0;
        for await (const chunk of got.body) count += chunk.length;
        const put = await fetch("http://example.com/count", { method: "POST", body: "x".repeat(100000) });
        console.log(count, (await put.text()).split(" ")[0]);
        const socket = net.connect({ host: "example.com", port: 7 }).end("echo");
        for await (const chunk of socket) console.log(String(chunk));
      })()'`,
    prints: "1000000 100000\necho",
  },
  {
    name: "undici: requests that share a few connections, and ones that do not wait for each other",
    script: `/node/node -e '
      const { Agent, Pool, request } = require("/undici");
      (async () => {
        const dispatcher = new Agent({ connections: 4, connect: { autoSelectFamily: true } });
        const one = async () => (await request("http://example.com/hello", { dispatcher })).body.text();
        const all = await Promise.all(Array.from({ length: 40 }, one));
        console.log(all.filter((text) => /^hello from .* as example.com/.test(text)).length);
        const pool = new Pool("http://v4.example.com", { connections: 1, pipelining: 4 });
        const sizes = [10, 500000, 1, 300000];
        const got = await Promise.all(sizes.map(async (size) => (await pool.request({ method: "GET", path: "/bytes/" + size })).body.bytes()));
        console.log(got.map(({ length }) => length).join());
        const { body } = await pool.request({ method: "POST", path: "/count", body: Buffer.alloc(2000000) });
        console.log((await body.text()).split(" ")[0]);
        await Promise.all([dispatcher.close(), pool.close()]);
      })()'`,
    prints: "40\n10,500000,1,300000\n2000000",
  },
  {
    name: "dig: every transport and flag",
    script: `
      dig +short A v4.example.com; dig +short AAAA v6.example.com; dig +tcp +short A v4.example.com
      dig +short +noedns A v4.example.com; dig +short @1.1.1.1 A v4.example.com; dig +short TXT text.example.com
      dig +noall +comments A none.test | grep -o 'status: [A-Z]*'; dig +noall +answer CNAME alias.example.com | awk '{ print $1, $4, $5 }'
      dig +short alias.example.com; dig +short -x 93.184.216.34; dig +short +ignore TXT large.example.com | wc -c; dig +short TXT large.example.com | wc -c`,
    prints: [
      ...["93.184.216.34", "2606:2800:220:1::34", "93.184.216.34", "93.184.216.34", "93.184.216.34"],
      ...[
        '"some text"',
        "status: NXDOMAIN",
        "alias.example.com. CNAME v4.example.com.",
        "v4.example.com. A 93.184.216.34",
      ],
      ...["v4.example.com.", "93.184.216.34"],
      ...["example.com.", "0", "3036"],
    ].join("\n"),
  },
  {
    name: "ssh: a command, a pipe through it, a forwarded port",
    script: `
      chmod 600 /tmp/key; alias ssh='ssh -q -i /tmp/key -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null'
      ssh root@example.com echo from sshd; head -c 3000000 /dev/zero | ssh root@example.com 'wc -c'
      ssh -fNM -S /tmp/control -o ExitOnForwardFailure=yes -L 8080:127.0.0.1:80 root@example.com
      curl -sS http://127.0.0.1:8080/hello; ssh -S /tmp/control -O exit root@example.com`,
    prints: "from sshd\n3000000\nhello from 127.0.0.1 as 127.0.0.1:8080",
  },
  {
    name: "python asyncio: many connections at once",
    script: `python3 -c '
import asyncio
async def one(number):
    reader, writer = await asyncio.open_connection("example.com", 7)
    writer.write(b"%d " % number * 1000); writer.write_eof()
    got = await reader.read(-1); writer.close()
    return len(got.split())
async def all():
    print(sum(await asyncio.gather(*(one(each) for each in range(50)))))
asyncio.run(all())'`,
    prints: "50000",
  },
  {
    name: "redis-cli: commands, a pipeline, a subscription",
    script: `
      redis-cli -h example.com set key value; redis-cli -h example.com get key
      seq 2000 | sed 's/.*/INCR counter/' | redis-cli -h example.com --pipe | tail -n 1
      (redis-cli -h example.com subscribe news & echo $! > /tmp/sub; wait) > /tmp/news & until redis-cli -h example.com pubsub channels | grep -q news; do :; done
      redis-cli -h example.com publish news extra; until grep -q extra /tmp/news; do :; done; kill $(cat /tmp/sub); tail -n 1 /tmp/news`,
    prints: "OK\nvalue\nerrors: 0, replies: 2000\n1\nextra",
  },
  {
    name: "psql: a query, a copy in",
    script: `
      export PGHOST=example.com PGUSER=postgres; psql -qAt -c 'select 6 * 7'
      psql -qAt -c 'drop table if exists t; create table t (n int)'; seq 5000 | psql -qAt -c 'copy t from stdin'; psql -qAt -c 'select sum(n) from t'`,
    prints: "42\n12502500",
  },
  {
    name: "iperf3: up, down, both families, UDP",
    script: `
      for each in '-4' '-6 -R' '-4 -u -b 20M'; do timeout 20 iperf3 -c example.com $each -t 1 -J > /tmp/iperf; python3 -c '
import json; end = json.load(open("/tmp/iperf"))["end"]; print((end.get("sum_received") or end["sum"])["bytes"] > 1000000)'; done`,
    prints: "True\nTrue\nTrue",
  },
  {
    name: "nc: out, by TCP and UDP",
    script: `
      printf tcp | nc -N -w 5 example.com 7; echo; printf udp | nc -u -w 1 -4 example.com 7; echo; printf udp | nc -u -w 1 -6 example.com 7; echo
      printf 'hello\\n' | nc -w 5 mail.example.com 25`,
    prints: "tcp\nudp\nudp\n220 greetings\r\n250 hello",
  },
  {
    name: "ping: the gateway is silent by default, others answer",
    script: `
      ping -c 1 -W 1 $(ip -4 route show default | cut -d' ' -f3) | grep -o '0 received'
      ping -4 -c 2 -i 0.2 -W 5 example.com | grep -o '2 received'; ping -6 -c 2 -i 0.2 -W 5 example.com | grep -o '2 received'; ping -4 -c 1 -s 3000 -W 5 example.com | grep -o '3008 bytes'`,
    prints: "0 received\n2 received\n2 received\n3008 bytes",
  },
  {
    name: "traceroute and mtr find the way's two ends",
    script: `
      traceroute -n -q 1 -w 2 -m 4 -I 93.184.216.34 | tail -n 1 | grep -o '93.184.216.34'; mtr -n -r -c 1 -G 1 93.184.216.34 | grep -o '93.184.216.34'`,
    prints: /93.184.216.34\n93.184.216.34$/,
  },
];

/** Names that the rows ask for, beside the usual ones. */
export function addNames(resolver: Resolver): void {
  resolver.host("mail.example.com", "93.184.216.34");
  resolver.answer("text.example.com", ({ message, name, type }) =>
    response(message, { records: type === types.TXT ? [textRecord(name, "some text")] : [] }),
  );
  resolver.answer("alias.example.com", ({ message, name }) =>
    response(message, {
      records: [aliasRecord(name, "v4.example.com"), addressRecord("v4.example.com", places.host4)],
    }),
  );
  resolver.answer("large.example.com", ({ message, name, transport }) =>
    response(
      message,
      transport === "udp" ? { truncated: true } : { records: [textRecord(name, "l".repeat(3000))] },
    ),
  );
  resolver.answer("34.216.184.93.in-addr.arpa", ({ message, name }) =>
    response(message, { records: [{ name, type: types.PTR, ttl: 60, data: nameBytes("example.com") }] }),
  );
}
