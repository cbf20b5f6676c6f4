import assert from "node:assert/strict";
import { test } from "node:test";
import type { DnsAnswered, FlowOpened, NetworkLogEvent, NetworkPolicy } from "../../../api/index.ts";
import { farEnd, hostText, NetworkEventText, portsCell, publishedText } from "./network-text.ts";

const time = "2026-05-01T13:37:00.000Z";
const timestampMs = Date.parse(time);
const opened: FlowOpened = {
  ...{ kind: "flow-opened", timestampMs, flow: 1, direction: "egress", protocol: "tcp" },
  ...{ address: "93.184.216.34", group: "public", port: 443, name: "example.com", rule: 0 },
};
const asked: DnsAnswered = {
  ...{ kind: "dns", timestampMs, name: "example.com", type: "A", transport: "udp", resolver: null },
  ...{ outcome: "answered", rcode: "NOERROR", addresses: ["93.184.216.34"], rule: 0 },
};
const policy: NetworkPolicy = {
  defaultEgress: "deny",
  defaultIngress: "allow",
  rules: [
    {
      ...{ direction: "egress", destination: { kind: "any" } },
      ...{ protocols: [], ports: [], action: "allow" },
    },
  ],
};

test("each event is a line that says what, where and why", () => {
  const text = new NetworkEventText((_policy, index) => `text of ${String(index)}`);
  const lines: readonly (readonly [NetworkLogEvent, string])[] = [
    [opened, "OPEN   tcp to example.com:443 (93.184.216.34), allowed by rule 0"],
    [
      { kind: "policy", timestampMs, cause: "start", policy, observe: true },
      "POLICY egress deny, ingress allow, 1 rule (start), observed: everything is allowed",
    ],
    [opened, "OPEN   tcp to example.com:443 (93.184.216.34), allowed by rule 0 (text of 0)"],
    [
      { ...opened, kind: "flow-closed", bytesSent: 2048, bytesReceived: 1, reason: "reset" },
      "CLOSE  tcp to example.com:443 (93.184.216.34), 2 KiB sent, 1 B received, reset",
    ],
    [
      { ...opened, kind: "flow-denied", name: null, rule: null, reason: "policy", count: 3 },
      "DENY   tcp to 93.184.216.34:443, denied by default, 3 times",
    ],
    [
      { ...opened, kind: "flow-denied", name: null, rule: null, reason: "platform", count: 1 },
      "DENY   tcp to 93.184.216.34:443, denied by the platform: multi-tenant",
    ],
    [
      {
        ...{ ...opened, kind: "flow-denied", direction: "ingress", protocol: "icmpv6", count: 1 },
        ...{ name: null, address: "2001:db8::1", port: null, reason: "max-connections" },
      },
      "DENY   icmpv6 from [2001:db8::1], max-connections",
    ],
    [
      { ...opened, direction: "ingress", name: null, address: "192.0.2.7", port: 80 },
      "OPEN   tcp from 192.0.2.7 to port 80, allowed by rule 0 (text of 0)",
    ],
    [asked, "DNS    A example.com: 93.184.216.34"],
    [
      { ...asked, resolver: "8.8.8.8", outcome: "denied", rcode: "NXDOMAIN", addresses: [] },
      "DNS    A example.com of 8.8.8.8: NXDOMAIN, denied by rule 0 (text of 0)",
    ],
    [
      { ...asked, outcome: "limited", rcode: "REFUSED", addresses: [], rule: 7 },
      "DNS    A example.com: REFUSED limited",
    ],
    [{ kind: "lost", timestampMs, count: 2 }, "LOST   2 events could not be kept"],
  ];
  for (const [event, line] of lines) assert.equal(text.line(event), `${time} ${line}`);
  const { timestampMs: _, ...rest } = opened;
  assert.deepEqual(JSON.parse(text.json(opened)), { ...rest, t: time });
});

test("ports and ends are written as others write them", () => {
  const port = {
    hostBind: "127.0.0.1",
    hostPort: 8080,
    guestPort: 80,
    protocol: "tcp",
    proxyProtocol: false,
  } as const;
  const udp = { ...port, hostBind: "::", protocol: "udp" } as const;
  assert.equal(publishedText(port), "127.0.0.1:8080->80/tcp");
  assert.equal(portsCell([port, udp]), "127.0.0.1:8080->80/tcp, [::]:8080->80/udp");
  assert.equal(portsCell([]), "-");
  assert.equal(hostText(udp), "[::]:8080");
  assert.equal(farEnd({ name: null, address: "::1", port: null }), "[::1]");
});
