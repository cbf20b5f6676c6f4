/** Layers that are small and take long: what they cost must grow with what they have, and never keep others waiting. */
import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { test } from "node:test";
import { ImageError } from "../../errors/index.ts";
import { importLayers } from "./import-layers.ts";
import { defaultImportLimits } from "./limits.ts";
import { imported, layerOf, refused, workDirectory } from "../../../test/support/image-support.ts";
import { archive, pax, tarEntry } from "../../../test/support/tar-builder.ts";

const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i);
const xattrs = (count: number): Record<string, string> =>
  Object.fromEntries(range(count).map((i) => [`SCHILY.xattr.user.k${i.toString(36)}`, "v"]));

test("records that hold for every entry are few", async () => {
  for (const layer of [
    archive(pax(xattrs(257), "g"), tarEntry({ name: "a" })),
    archive(pax(xattrs(257)), tarEntry({ name: "a" })),
    archive(...range(3).map((i) => pax({ [`SCHILY.xattr.user.${i}`]: "v", ...xattrs(255) }, "g"))),
    archive(pax(xattrs(200), "g"), pax(otherXattrs(100)), tarEntry({ name: "a" })),
  ]) {
    const { error } = await refused([layerOf(layer)]);
    assert.ok(error instanceof ImageError, String(error));
    assert.match(error.message, /more than 256 records/);
  }
});

function otherXattrs(count: number): Record<string, string> {
  return Object.fromEntries(range(count).map((i) => [`SCHILY.xattr.user.other${i}`, "v"]));
}

test("a record of one entry goes before one of all, and can take it away", async () => {
  const files = await imported(
    archive(
      pax({ mtime: "7", uid: "5" }, "g"),
      pax({ mtime: "9" }),
      tarEntry({ name: "own", uid: 1 }),
      pax({ uid: "" }),
      tarEntry({ name: "without", uid: 1 }),
      tarEntry({ name: "plain", uid: 1 }),
    ),
  );
  const read = (name: string): unknown => {
    const file = files.get(name);
    return [file?.seconds, file?.uid];
  };
  assert.deepEqual(read("own"), [9, 5]);
  assert.deepEqual(read("without"), [7, 1]);
  assert.deepEqual(read("plain"), [7, 5]);
});

test("names that go through long links again and again are refused", async () => {
  const winding = "d/../".repeat(700);
  const layer = archive(
    tarEntry({ name: "d/", type: "5" }),
    ...range(38).flatMap((i) => [
      pax({ linkpath: `${winding}l${i + 1}` }),
      tarEntry({ name: `l${i}`, type: "2", link: "x" }),
    ]),
    tarEntry({ name: "l38", type: "2", link: "d" }),
    // In turn, so that no path is the one before.
    ...range(2000).flatMap((i) => [tarEntry({ name: `l0/f${i}` }), tarEntry({ name: `d/g${i}` })]),
  );
  const { error } = await refused([layerOf(layer)]);
  assert.ok(error instanceof ImageError, String(error));
  assert.match(error.message, /too long to follow/);
});

test("deep trees and links that lead through each other are no reason to refuse", async () => {
  const deep = "d/".repeat(60);
  const layer = archive(
    tarEntry({ name: `${deep}e/`, type: "5" }),
    tarEntry({ name: "lib", type: "2", link: "usr/lib" }),
    tarEntry({ name: "usr/lib/", type: "5" }),
    ...range(20_000).flatMap((i) => [
      tarEntry({ name: `${deep.slice(0, 90)}f${i}` }),
      tarEntry({ name: `lib/g${i}` }),
    ]),
  );
  const { error, result } = await refused([layerOf(layer), layerOf(layer)]);
  assert.equal(error, null);
  assert.ok((result?.entries ?? 0) > 40_000);
});

test("an import lets others have their turn", async () => {
  await using work = await workDirectory();
  const layer = archive(...range(4000).map((i) => tarEntry({ name: `f${i}` })));
  const stop = new AbortController();
  const source = {
    ...layerOf(layer),
    // All of it at once: nothing else gives way while it is read.
    open: () => {
      setImmediate(() => stop.abort(new Error("given up")));
      return Readable.from([layer]);
    },
  };
  await assert.rejects(
    importLayers([source], `${work.path}/image`, defaultImportLimits, stop.signal),
    /given up/,
  );
});
