import assert from "node:assert/strict";
import { test } from "node:test";
import { addressRecord, cname, DnsServer } from "../../../test/support/dns-server.ts";
import { ip, TestResolver } from "../../../test/support/dns-resolver.ts";

for (const transport of ["udp", "tcp"] as const) {
  test(`A and AAAA are asked of the configured server by ${transport}, and bound`, async () => {
    await using server = await DnsServer.start(({ type, say, reply }) => {
      const address = type === "A" ? "93.184.216.34" : "2606:2800:220:1::1";
      say(
        reply({ answers: [cname("www.example.com", "cdn.example"), addressRecord("cdn.example", address)] }),
      );
    });
    using guest = new TestResolver({ dns: { nameservers: [`127.0.0.1:${server.port}`] } });
    const four = await guest.ask("www.Example.com", "A", { transport, id: 77 });
    assert.deepEqual([four.rcode, four.id, four.addresses], ["NOERROR", 77, ["93.184.216.34"]]);
    assert.equal(four.packet.questions?.[0]?.name, "www.Example.com");
    const six = await guest.ask("www.example.com", "AAAA", { transport, resolver: ip("fd42:6d73:62::1") });
    assert.deepEqual(six.addresses, ["2606:2800:220:1::1"]);
    assert.deepEqual(
      server.asked.map((asked) => asked.transport),
      [transport, transport],
    );
    assert.deepEqual(guest.bindings.namesOf(ip("93.184.216.34")), ["www.example.com"]);
    assert.deepEqual(guest.bindings.namesOf(ip("2606:2800:220:1::1")), ["www.example.com"]);
    assert.deepEqual(
      guest.events.map(({ name, type, outcome, rcode, addresses, resolver, transport: by }) => [
        name,
        type,
        outcome,
        rcode,
        addresses,
        resolver,
        by,
      ]),
      [
        ["www.example.com", "A", "answered", "NOERROR", ["93.184.216.34"], null, transport],
        ["www.example.com", "AAAA", "answered", "NOERROR", ["2606:2800:220:1::1"], null, transport],
      ],
    );
  });
}
