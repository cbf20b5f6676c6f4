import assert from "node:assert/strict";
import { test } from "node:test";
import { stripServiceParameters } from "./service-parameters.ts";

const priority = Buffer.from([0, 1]);
const target = Buffer.concat([Buffer.from([3]), Buffer.from("cdn"), Buffer.from([0])]);

function parameter(key: number, ...bytes: readonly number[]): Buffer {
  return Buffer.from([0, key, 0, bytes.length, ...bytes]);
}

function data(...parts: readonly Buffer[]): Buffer {
  return Buffer.concat([priority, target, ...parts]);
}

const alpn = parameter(1, 2, 0x68, 0x32);
const port = parameter(3, 0x20, 0xfb);
const hint4 = parameter(4, 10, 0, 0, 1);
const ech = parameter(5, 0xfe, 0x0d);
const hint6 = parameter(6, ...new Array<number>(16).fill(1));

/** Data, whether ECH is stripped, what is left; null: nothing. */
const cases: readonly (readonly [string, Buffer, boolean, Buffer | null])[] = [
  ["no parameters", data(), false, data()],
  ["none to strip", data(alpn, port), false, data(alpn, port)],
  ["an IPv4 hint", data(alpn, hint4), false, data(alpn)],
  ["both hints", data(alpn, port, hint4, hint6), false, data(alpn, port)],
  ["ECH without rules about names", data(alpn, ech), false, data(alpn, ech)],
  ["ECH with rules about names", data(alpn, hint4, ech, hint6), true, data(alpn)],
  ["a mandatory hint", data(parameter(0, 0, 4), hint4), false, null],
  [
    "a mandatory port and a hint",
    data(parameter(0, 0, 3), port, hint4),
    false,
    data(parameter(0, 0, 3), port),
  ],
  ["mandatory ECH that stays", data(parameter(0, 0, 5), ech), false, data(parameter(0, 0, 5), ech)],
  ["mandatory ECH that goes", data(parameter(0, 0, 5), ech), true, null],
  ["a parameter that is cut off", data(alpn, hint4.subarray(0, -1)), false, null],
  ["a key without a length", data(alpn, Buffer.from([0, 4, 0])), false, null],
  ["a name without an end", Buffer.from([0, 1, 3, 97]), false, null],
  ["a name that is a pointer", Buffer.from([0, 1, 0xc0, 12]), false, null],
  ["nothing", Buffer.alloc(0), false, null],
];

for (const [what, bytes, isEchStripped, left] of cases) {
  test(`a service record with ${what}`, () => {
    const stripped = stripServiceParameters(bytes, isEchStripped);
    assert.deepEqual(stripped.data, left);
    assert.equal(stripped.isChanged, left === null || !left.equals(bytes));
  });
}
