import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { growth, mostGrowth } from "../../../../test/support/growth.ts";
import { checkUpgrade } from "../relay/response-writing.ts";
import { parseRequest, parseResponse } from "./heads.ts";
import { MessageReader } from "./message-reader.ts";
import { RequestWatch } from "./request-watch.ts";

const request = (fields: string): string => `GET / HTTP/1.1\r\nHost: a.test\r\n${fields}\r\n`;

/** What costs a reader most, by about how many bytes it has. */
const rows: readonly (readonly [what: string, size: number, prepare: (size: number) => () => void])[] = [
  [
    "blanks in what is no HTTP, with something after them",
    60_000,
    (size) => {
      const bytes = Buffer.from(`\x01${" ".repeat(size)}x`);
      return () => new RequestWatch().look(bytes);
    },
  ],
  [
    "blanks between words that could be the end of a request line",
    60_000,
    (size) => {
      const bytes = Buffer.from(`HTTP/1.1 ${"HTTP/1 \t ".repeat(size / 9)}x`);
      return () => new RequestWatch().look(bytes);
    },
  ],
  [
    "Connection, thousands of times after a long one",
    60_000,
    (size) => {
      const text = request(
        `Connection: ${"a,".repeat(size / 4)}a\r\n${"Connection: b\r\n".repeat(size / 30)}`,
      );
      return () => void parseRequest(text);
    },
  ],
  [
    "Upgrade, thousands of times",
    60_000,
    (size) => {
      const text = request("Upgrade: a\r\n".repeat(size / 12));
      return () => void parseRequest(text);
    },
  ],
  [
    "an answer to thousands of protocols with as many",
    60_000,
    (size) => {
      const names = Array.from({ length: size / 6 }, (_, index) => `p${index}`);
      const parsed = parseResponse(
        `HTTP/1.1 101 Switching\r\nUpgrade: ${names.toReversed().join(",")}\r\n\r\n`,
        "GET",
      );
      const exchange = {
        request: { version: "1.1", method: "GET", target: "/", authority: null, fields: [] } as const,
        ...{ answer: null, upgrade: names, expectsContinue: false, hasBodyBegun: false },
        ...{ isRequestWhole: true, closes: false, isCut: false },
      };
      return () => checkUpgrade(exchange, parsed);
    },
  ],
  [
    "blanks around values",
    60_000,
    (size) => {
      const text = request(`X:${" ".repeat(size)}x${" ".repeat(size)}x\r\n`);
      return () => void parseRequest(text);
    },
  ],
  [
    "a head byte by byte",
    60_000,
    (size) => {
      const pieces = Array.from(Buffer.from(request(`X: ${"x".repeat(size)}\r\n`)), (byte) =>
        Buffer.from([byte]),
      );
      return () => {
        const reader = new MessageReader(parseRequest, { skipsEmptyLines: true });
        for (const piece of pieces) {
          reader.push(piece);
          reader.next();
        }
      };
    },
  ],
];

describe("the time that reading takes grows as what is read:", () => {
  for (const [what, size, prepare] of rows)
    it(what, () => {
      const grown = growth(size, prepare);
      assert.ok(grown < mostGrowth, `in one piece it took ${grown.toFixed(1)} times as long`);
    });
});
