import assert from "node:assert/strict";
import { test } from "node:test";
import { ImageError } from "../errors/index.ts";
import { parseImageConfig, type ImageConfig } from "./image-config.ts";

const rootfs = '"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}';
const parse = (config: string): ImageConfig =>
  parseImageConfig(Buffer.from(`{${rootfs},"config":${config}}`), 0, "the config");

test("labels keep every key that JSON can have", () => {
  const { labels } = parse('{"Labels":{"__proto__":"a","constructor":"b","prototype":"c","plain":"d"}}');
  const expected = [
    ["__proto__", "a"],
    ["constructor", "b"],
    ["prototype", "c"],
    ["plain", "d"],
  ];
  assert.deepEqual(Object.entries(labels), expected);
  assert.deepEqual(parse('{"ExposedPorts":{"constructor":{},"80/tcp":null}}').exposedPorts, [
    "constructor",
    "80/tcp",
  ]);
});

test("labels that builders wrote as numbers, truth values or nothing are taken as text", () => {
  const { labels } = parse('{"Labels":{"version":3,"ratio":1.5,"final":true,"none":null}}');
  assert.deepEqual(labels, { version: "3", ratio: "1.5", final: "true", none: "" });
  assert.throws(() => parse('{"Labels":{"list":[1]}}'), ImageError);
  assert.throws(() => parse('{"Labels":["a=b"]}'), ImageError);
});
