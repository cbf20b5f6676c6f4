import assert from "node:assert/strict";
import { test } from "node:test";
import { engineOfEvents, gateway } from "../../../test/support/engine-of-events.ts";
import { pick, type Random, rounds, seeded } from "../../../test/support/fuzz.ts";
import { ip, policy } from "../../../test/support/policy-sample.ts";
import { policyTokens } from "../../config/network/policy/rule-text.ts";
import { parseRuleTokens } from "../../config/network/policy/rule-token.ts";
import type { NetworkPolicy, RuleProtocol } from "../../config/network/policy-type.ts";
import { InvalidConfigError } from "../../errors/index.ts";
import type { DnsAnswered, FlowClosed, FlowOpened, NetworkLogEvent } from "../events.ts";
import { suggestPolicy } from "./suggest-policy.ts";

const v4 = "93.184.216.34";
const cdn = "151.101.1.69";
const v6 = "2606:2800:220:1::1";

/** `tcp ADDRESS PORT`. */
function opened(text: string): FlowOpened {
  const [protocol = "", address = "", port] = text.split(" ");
  return {
    timestampMs: 0,
    kind: "flow-opened",
    flow: 1,
    direction: "egress",
    protocol: protocol as RuleProtocol,
    address,
    group: address === gateway ? "host" : "public",
    port: port === undefined ? null : Number(port),
    name: null,
    rule: null,
  };
}

function answered(name: string, addresses: readonly string[], more: Partial<DnsAnswered> = {}): DnsAnswered {
  return {
    timestampMs: 0,
    kind: "dns",
    name,
    type: "A",
    transport: "udp",
    resolver: null,
    outcome: "answered",
    rcode: "NOERROR",
    addresses,
    rule: null,
    ...more,
  };
}

test("what was used by name is allowed by name, at the ports and by the protocols that were used", () => {
  const events = [
    answered("example.org", [v4, v6]),
    opened(`tcp ${v4} 443`),
    opened(`tcp ${v4} 443`),
    opened(`tcp ${v6} 80`),
    opened(`udp ${v4} 443`),
    opened(`tcp ${v4} 81`),
    opened(`icmpv4 ${v4}`),
  ];
  assert.deepEqual(
    suggestPolicy(events),
    policy(
      "deny/allow; allow example.org tcp 80-81,443; allow example.org udp 443; allow example.org icmpv4",
    ),
  );
});

test("protocols that were used at the same ports are one rule", () => {
  const events = [answered("example.org", [v4]), opened(`udp ${v4} 443`), opened(`tcp ${v4} 443`)];
  assert.deepEqual(suggestPolicy(events), policy("deny/allow; allow example.org tcp,udp 443"));
});

test("addresses without a name, IPv4 first, by number", () => {
  const events = [
    opened(`tcp ${v6} 443`),
    opened("tcp 100.64.0.1 22"),
    opened("udp 9.0.0.1 123"),
    opened("tcp ::ffff:9.0.0.1 80"),
    answered("other.example", [cdn], { rcode: "NXDOMAIN" }),
  ];
  assert.deepEqual(
    suggestPolicy(events),
    policy(
      `deny/allow; allow 9.0.0.1/32 tcp 80; allow 9.0.0.1/32 udp 123; allow 100.64.0.1/32 tcp 22; allow ${v6}/128 tcp 443`,
    ),
  );
});

test("the gateway is the host, whatever its address in this sandbox", () => {
  const events = [opened(`tcp ${gateway} 5432`), opened(`tcp ${gateway} 5433`), opened(`icmpv4 ${gateway}`)];
  assert.deepEqual(suggestPolicy(events), policy("deny/allow; allow host tcp 5432-5433; allow host icmpv4"));
});

test("an address with several names is allowed by each", () => {
  const events = [
    answered("pypi.example", [cdn]),
    answered("files.pypi.example", [cdn, v4]),
    opened(`tcp ${cdn} 443`),
    opened(`tcp ${v4} 80`),
  ];
  assert.deepEqual(
    suggestPolicy(events),
    policy("deny/allow; allow pypi.example tcp 443; allow files.pypi.example tcp 80,443"),
  );
});

test("questions have a rule of their own only when a name was asked for that has none", () => {
  const used = [answered("example.org", [v4]), opened(`tcp ${v4} 443`)];
  const rule = "allow example.org tcp 443";
  const dns = "allow host udp,tcp 53";
  const with_ = (event: DnsAnswered): NetworkPolicy => suggestPolicy([...used, event]);
  assert.deepEqual(with_(answered("example.org", [], { type: "TXT" })), policy(`deny/allow; ${rule}`));
  assert.deepEqual(with_(answered("example.net", [], { rcode: "NXDOMAIN" })), policy(`deny/allow; ${rule}`));
  assert.deepEqual(with_(answered("evil.example", [], { outcome: "denied" })), policy(`deny/allow; ${rule}`));
  assert.deepEqual(with_(answered("example.net", [], { type: "MX" })), policy(`deny/allow; ${dns}; ${rule}`));
  assert.deepEqual(with_(answered("\\000.example.net", [cdn])), policy(`deny/allow; ${dns}; ${rule}`));
});

test("an address of a name that no rule can have is allowed itself", () => {
  const events = [answered("a\\032b.example", [v4]), opened(`tcp ${v4} 443`)];
  assert.deepEqual(
    suggestPolicy(events),
    policy(`deny/allow; allow host udp,tcp 53; allow ${v4}/32 tcp 443`),
  );
});

test("a resolver that the guest asked itself", () => {
  const events = [
    answered("example.org", [v4], { resolver: "9.9.9.9" }),
    answered("example.org", [v4], { resolver: "9.9.9.9", transport: "tcp" }),
    answered("example.net", [], { resolver: "8.8.8.8", outcome: "denied", rcode: "NXDOMAIN" }),
    opened(`tcp ${v4} 443`),
  ];
  assert.deepEqual(
    suggestPolicy(events),
    policy("deny/allow; allow example.org tcp 443; allow 9.9.9.9/32 tcp,udp 53"),
  );
});

test("what was denied is not allowed, and what comes in stays as it was", () => {
  const before = policy(
    "allow/deny; allow public; allow ingress private tcp 8080; deny any-direction 1.2.3.4/32",
  );
  const { kind: _, ...flow } = opened(`tcp ${v4} 443`);
  const events: NetworkLogEvent[] = [
    { timestampMs: 0, kind: "policy", cause: "start", policy: policy("deny/allow"), observe: true },
    { timestampMs: 0, kind: "policy", cause: "update", policy: before, observe: true },
    { ...flow, kind: "flow-denied", reason: "policy", count: 3 },
    { ...flow, kind: "flow-opened", direction: "ingress" },
    { timestampMs: 0, kind: "lost", count: 7 },
  ];
  assert.deepEqual(
    suggestPolicy(events),
    policy("deny/deny; allow ingress private tcp 8080; deny ingress 1.2.3.4/32"),
  );
  assert.deepEqual(suggestPolicy([]), policy("deny/allow"));
});

test("a flow whose beginning is not told any more counts by its end", () => {
  const end = { bytesSent: 1, bytesReceived: 2, reason: "closed" } as const;
  const events = [{ ...opened(`tcp ${v4} 22`), kind: "flow-closed", ...end }] as const;
  assert.deepEqual(suggestPolicy(events), policy(`deny/allow; allow ${v4}/32 tcp 22`));
});

/** The end of a flow whose client has said a name. */
function named(text: string, name: string): FlowClosed {
  return { ...opened(text), kind: "flow-closed", name, bytesSent: 1, bytesReceived: 2, reason: "closed" };
}

test("a name that TLS alone has said is allowed beside its address, and all that was seen is allowed", () => {
  const events = [
    opened(`tcp ${v4} 443`),
    named(`tcp ${v4} 443`, "hidden.example"),
    opened(`tcp ${v4} 22`),
    // DNS knows this address by another name.
    answered("known.example", [cdn]),
    named(`tcp ${cdn} 443`, "other.example"),
    named(`tcp ${cdn} 8443`, "known.example"),
    named(`tcp ${v6} 443`, "no name of a rule"),
  ];
  const suggested = suggestPolicy(events);
  assert.deepEqual(
    suggested,
    policy(
      `deny/allow; allow hidden.example tcp 443; allow known.example tcp 443,8443; allow other.example tcp 443; ` +
        `allow ${v4}/32 tcp 22,443; allow ${cdn}/32 tcp 443; allow ${v6}/128 tcp 443`,
    ),
  );
  assert.deepEqual(suggestPolicy(events.toReversed()), suggested);
  const engine = engineOfEvents(suggested, events);
  for (const event of events) {
    if (event.kind !== "flow-closed") continue;
    const flow = { ...event, address: ip(event.address) };
    assert.equal(
      engine.egress(flow, { kind: "sni", name: event.name ?? "" }).action,
      "allow",
      event.name ?? "",
    );
  }
});

test("of a policy whose rules are not all known, what comes in is denied where none of them allows it", () => {
  const told = { timestampMs: 0, kind: "policy", cause: "start", observe: true } as const;
  const known = policy("allow/allow; allow ingress private tcp 8080");
  const suggested = policy("deny/allow; allow ingress private tcp 8080");
  assert.deepEqual(suggestPolicy([{ ...told, policy: known }]), suggested);
  assert.deepEqual(suggestPolicy([{ ...told, policy: known, rulesLeftOut: 1 }]), {
    ...suggested,
    defaultIngress: "deny",
  });
});

test("events that are no such thing are passed over", () => {
  const events = [opened("tcp nowhere 22"), answered("example.org", ["nowhere"], { resolver: "" })];
  assert.deepEqual(suggestPolicy(events), policy("deny/allow; allow host udp,tcp 53"));
});

test("names become a suffix only when asked for, and never one of a single label", () => {
  const names = ["r1.cdn.example", "r2.cdn.example", "r3.cdn.example", "cdn.example", "api.r1.cdn.example"];
  const used = (all: readonly string[], port: number) =>
    all.flatMap((name, index) => [
      answered(name, [`93.${port % 250}.0.${index}`]),
      opened(`tcp 93.${port % 250}.0.${index} ${port}`),
    ]);
  const events = [
    ...used(names, 443),
    ...used(["x.cdn.example"], 22),
    ...used(["a.com", "b.com", "c.com"], 443),
  ];
  const top = "allow a.com tcp 443; allow b.com tcp 443; allow c.com tcp 443";
  assert.equal(suggestPolicy(events).rules.length, 9);
  assert.equal(suggestPolicy(events, { mergeNamesFrom: 4 }).rules.length, 9);
  assert.deepEqual(
    suggestPolicy(events, { mergeNamesFrom: 3 }),
    policy(`deny/allow; ${top}; allow .cdn.example tcp 443; allow x.cdn.example tcp 22`),
  );
});

test("one name is no family", () => {
  for (const mergeNamesFrom of [1, 0, -1, 2.5, Number.NaN, Infinity])
    assert.throws(() => suggestPolicy([], { mergeNamesFrom }), InvalidConfigError);
});

test("what is suggested can be given as it is printed", () => {
  const events = [
    answered("example.org", [v4]),
    answered("localhost-like", [cdn], { type: "A" }),
    answered("txt.example", [], { type: "TXT" }),
    opened(`tcp ${v4} 443`),
    opened(`udp ${cdn} 123`),
    opened(`icmpv6 ${v6}`),
    opened(`tcp ${gateway} 5432`),
    opened("tcp 100.64.0.1 22"),
  ];
  const tokens = policyTokens(suggestPolicy(events));
  assert.deepEqual(tokens, [
    "allow@dns",
    "allow@host:tcp:5432",
    "allow@domain=localhost-like:udp:123",
    "allow@example.org:tcp:443",
    "allow@100.64.0.1:tcp:22",
    `allow@[${v6}]:icmpv6`,
  ]);
  assert.deepEqual(parseRuleTokens(tokens.join(",")), suggestPolicy(events).rules);
});

const ports = [22, 80, 443, 444, 8080];
const protocols: readonly RuleProtocol[] = ["tcp", "udp", "icmpv4"];

function someEvents(random: Random): NetworkLogEvent[] {
  const address = (): string =>
    pick(random, [v4, cdn, v6, gateway, "10.0.0.5", "64:ff9b::8.8.8.8", "8.8.8.8"]);
  const name = (): string =>
    pick(random, ["a.example", "b.example", "x.b.example", "y.b.example", "c\\000.example"]);
  return Array.from({ length: random(12) }, (): NetworkLogEvent => {
    if (random(2) === 0) {
      const addresses = Array.from({ length: random(3) }, address).filter((text) => text !== gateway);
      return answered(name(), addresses, {
        transport: pick(random, ["udp", "tcp"]),
        resolver: pick(random, [null, null, "9.9.9.9", "8.8.8.8"]),
        outcome: pick(random, ["answered", "answered", "filtered", "failed"]),
        rcode: addresses.length > 0 ? "NOERROR" : pick(random, ["NOERROR", "NXDOMAIN", "SERVFAIL"]),
      });
    }
    const protocol = pick(random, protocols);
    return opened(`${protocol} ${address()}${protocol === "icmpv4" ? "" : ` ${pick(random, ports)}`}`);
  });
}

test("all that was seen is allowed, at no other port, and in any order the same", (context) => {
  const random = seeded(context);
  for (let round = rounds(1000); round > 0; round--) {
    const events = someEvents(random);
    const suggested = suggestPolicy(events);
    const told = JSON.stringify({ events, suggested });
    assert.deepEqual(suggestPolicy(events.toReversed()), suggested, told);
    const engine = engineOfEvents(suggested, events);
    const flows = events.filter((event) => event.kind === "flow-opened");
    for (const { protocol, address, port } of flows) {
      const flow = { protocol, address: ip(address), port };
      assert.equal(engine.egress(flow, { kind: "bindings" }).action, "allow", `${address} ${told}`);
      assert.notEqual(engine.egress(flow, { kind: "deferred" }).action, "deny", `${address} ${told}`);
      for (const event of events)
        if (event.kind === "dns" && event.addresses.includes(address) && !event.name.includes("\\")) {
          const evidence = { kind: "sni", name: event.name } as const;
          assert.equal(engine.egress(flow, evidence).action, "allow", `${event.name} ${told}`);
        }
    }
    for (const event of events) {
      if (event.kind !== "dns") continue;
      const asked = { protocol: event.transport, port: 53 };
      if (event.rcode === "NOERROR") assert.equal(engine.query(event.name, asked).action, "allow", told);
      if (event.resolver === null) continue;
      const resolver = { ...asked, address: ip(event.resolver) };
      assert.equal(engine.egress(resolver, { kind: "bindings" }).action, "allow", told);
    }
    assertNothingElse(events, suggested);
  }
});

/** No port at which nothing was seen is open on any address, but for questions. */
function assertNothingElse(events: readonly NetworkLogEvent[], suggested: NetworkPolicy): void {
  const engine = engineOfEvents(suggested, events);
  const seen = new Set(
    events.map((event) => (event.kind === "flow-opened" ? `${event.protocol} ${event.port ?? ""}` : "")),
  );
  for (const address of [v4, cdn, v6, gateway, "10.0.0.5", "8.8.8.8", "1.1.1.1", "169.254.169.254"])
    for (const protocol of protocols)
      for (const port of protocol === "icmpv4" ? [null] : [...ports, 21, 445, 65_535]) {
        const { action } = engine.egress({ protocol, address: ip(address), port }, { kind: "bindings" });
        if (!seen.has(`${protocol} ${port ?? ""}`))
          assert.equal(action, "deny", `${address} ${protocol} ${port}`);
      }
}

test("each rule is needed: without it something that was seen would be denied", (context) => {
  const random = seeded(context);
  for (let round = rounds(300); round > 0; round--) {
    // One address for each name, so that no flow is allowed by two rules.
    const events = Array.from({ length: 1 + random(8) }, () => random(6)).flatMap((index) => [
      ...(index < 4 ? [answered(`n${index}.example`, [`93.0.0.${index}`])] : []),
      opened(`${pick(random, ["tcp", "udp"])} 93.0.0.${index} ${pick(random, ports)}`),
    ]);
    const suggested = suggestPolicy(events);
    for (const dropped of suggested.rules) {
      const rules = suggested.rules.filter((rule) => rule !== dropped);
      const engine = engineOfEvents({ ...suggested, rules }, events);
      const denied = events.some((event) =>
        event.kind === "dns"
          ? engine.query(event.name, { protocol: "udp", port: 53 }).action === "deny"
          : engine.egress({ ...event, address: ip(event.address) }, { kind: "bindings" }).action === "deny",
      );
      assert.ok(denied, JSON.stringify({ dropped, suggested }));
    }
  }
});
