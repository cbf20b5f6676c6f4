import assert from "node:assert/strict";
import { test } from "node:test";
import { ip } from "../../../test/support/policy-sample.ts";
import { IpAddress } from "../../host/ip/address.ts";
import { DnsBindings, type DnsBindingsOptions } from "./dns-bindings.ts";

const one = ip("93.184.216.34");
const other = ip("151.101.1.69");
const v6 = ip("2606:2800:220:1::1");

function withClock(options: DnsBindingsOptions = {}): { bindings: DnsBindings; pass(ms: number): void } {
  let now = 1_000_000;
  return {
    bindings: new DnsBindings({ now: () => now, ...options }),
    pass: (ms) => {
      now += ms;
    },
  };
}

test("a name stands for its addresses until their time is over", () => {
  const { bindings, pass } = withClock();
  bindings.bind("example.org", [one, v6], 30);
  pass(29_999);
  assert.deepEqual(bindings.namesOf(one), ["example.org"]);
  assert.deepEqual(bindings.namesOf(v6), ["example.org"]);
  assert.deepEqual(bindings.namesOf(other), []);
  pass(1);
  assert.deepEqual(bindings.namesOf(one), []);
});

test("an answer stands for one second at least", () => {
  const { bindings, pass } = withClock();
  bindings.bind("example.org", [one], 0);
  pass(999);
  assert.deepEqual(bindings.namesOf(one), ["example.org"]);
  pass(1);
  assert.deepEqual(bindings.namesOf(one), []);
});

test("an address keeps its own time when a later answer lacks it, or gives it less", () => {
  const { bindings, pass } = withClock();
  bindings.bind("example.org", [one], 60);
  pass(10_000);
  bindings.bind("example.org", [other], 60);
  bindings.bind("example.org", [one], 5);
  pass(49_999);
  assert.deepEqual(bindings.namesOf(one), ["example.org"]);
  pass(1);
  assert.deepEqual(bindings.namesOf(one), []);
  assert.deepEqual(bindings.namesOf(other), ["example.org"]);
});

test("an address that is answered again stands for longer", () => {
  const { bindings, pass } = withClock();
  bindings.bind("example.org", [one], 10);
  pass(5000);
  bindings.bind("example.org", [one], 10);
  pass(9999);
  assert.deepEqual(bindings.namesOf(one), ["example.org"]);
});

test("an answer without addresses ends what stood for that family", () => {
  const { bindings } = withClock();
  bindings.bind("example.org", [one, v6], 60);
  bindings.bind("example.net", [one], 60);
  bindings.clear("example.org", 4);
  assert.deepEqual(bindings.namesOf(one), ["example.net"]);
  assert.deepEqual(bindings.namesOf(v6), ["example.org"]);
  bindings.clear("example.org", 6);
  bindings.clear("never.asked", 6);
  assert.deepEqual(bindings.namesOf(v6), []);
});

test("names of an address, the one that was answered last first, each for its own time", () => {
  const { bindings, pass } = withClock();
  bindings.bind("a.example", [one], 10);
  bindings.bind("b.example", [one], 20);
  bindings.bind("c.example", [one], 30);
  assert.deepEqual(bindings.namesOf(one), ["c.example", "b.example", "a.example"]);
  bindings.bind("a.example", [one], 10);
  const before = bindings.namesOf(one);
  assert.deepEqual(before, ["a.example", "c.example", "b.example"]);
  pass(15_000);
  assert.deepEqual(bindings.namesOf(one), ["c.example", "b.example"]);
  assert.deepEqual(before, ["a.example", "c.example", "b.example"], "what was given out does not change");
});

test("a mapped address is the IPv4 address in it", () => {
  const { bindings } = withClock();
  bindings.bind("example.org", [ip("::ffff:93.184.216.34")], 60);
  assert.deepEqual(bindings.namesOf(one), ["example.org"]);
  bindings.bind("example.net", [other], 60);
  assert.deepEqual(bindings.namesOf(ip("::ffff:151.101.1.69")), ["example.net"]);
  bindings.clear("example.org", 4);
  assert.deepEqual(bindings.namesOf(one), []);
});

test("a guest that asks for names without end costs bounded memory, and loses its oldest answers", () => {
  const { bindings } = withClock({ maxBindings: 100 });
  for (let index = 0; index < 100_000; index++)
    bindings.bind(`n${index}.example`, [IpAddress.of([10, index >> 16, index >> 8, index])], 3600);
  assert.equal(bindings.size, 100);
  const nameOf = (index: number): readonly string[] =>
    bindings.namesOf(IpAddress.of([10, index >> 16, index >> 8, index]));
  assert.deepEqual(nameOf(99_899), []);
  assert.deepEqual(nameOf(99_900), ["n99900.example"]);
  assert.deepEqual(nameOf(99_999), ["n99999.example"]);
});

test("one address stands for a bounded number of names, and one name for as many addresses as there are answers", () => {
  const { bindings } = withClock({ maxBindings: 100, maxNamesPerAddress: 10 });
  for (let index = 0; index < 50; index++) bindings.bind(`n${index}.example`, [one], 60);
  assert.deepEqual(bindings.namesOf(one).at(0), "n49.example");
  assert.deepEqual(bindings.namesOf(one).at(-1), "n40.example");
  assert.equal(bindings.size, 10);
  const addresses = Array.from({ length: 500 }, (_, index) => IpAddress.of([11, 0, index >> 8, index]));
  bindings.bind("many.example", addresses, 60);
  assert.equal(bindings.size, 100);
  assert.deepEqual(bindings.namesOf(ip("11.0.1.243")), ["many.example"]);
  assert.deepEqual(bindings.namesOf(one), []);
});

test("with bounds of one, the last answer stands", () => {
  const { bindings } = withClock({ maxBindings: 1, maxNamesPerAddress: 1 });
  bindings.bind("a.example", [one], 60);
  bindings.bind("b.example", [one], 60);
  bindings.bind("b.example", [one], 60);
  assert.deepEqual(bindings.namesOf(one), ["b.example"]);
  assert.equal(bindings.size, 1);
});

test("expired answers go, looked at once a second at most", () => {
  const { bindings, pass } = withClock();
  for (let index = 0; index < 50; index++) bindings.bind(`n${index}.example`, [one], 1);
  pass(999);
  bindings.bind("later.example", [other], 60);
  assert.equal(bindings.size, 51);
  pass(1);
  bindings.bind("later.example", [other], 60);
  assert.equal(bindings.size, 1);
});
