import assert from "node:assert/strict";
import { test } from "node:test";
import { InvalidConfigError } from "../../errors/index.ts";
import { destinationOf, type Standing } from "./destination.ts";

const file = { isDirectory: false, contentsOnly: false, shown: "a/thing", name: "thing" };
const directory = { ...file, isDirectory: true };
const contents = { ...directory, contentsOnly: true };

const rules: readonly [what: object, path: string, standing: Standing, expected: string | RegExp][] = [
  [file, "/to/new", "nothing", "as /to/new"],
  [file, "/to/new/", "nothing", /there is no directory demo:\/to\/new\//],
  [file, "/to/old", "other", "as /to/old"],
  [file, "/to/old/", "other", /is no directory/],
  [file, "/to", "directory", "as /to/thing"],
  [file, "/to///", "directory", "as /to/thing"],
  [file, "/", "directory", "as /thing"],
  [file, "//", "directory", "as /thing"],
  [directory, "/to/new", "nothing", "as /to/new"],
  [directory, "/to/new/", "nothing", "as /to/new"],
  [directory, "/to/old", "other", /cannot copy the directory a\/thing to demo:\/to\/old, which is none/],
  [directory, "/to/old/", "other", /cannot copy the directory/],
  [directory, "/to", "directory", "as /to/thing"],
  [directory, "/to/", "directory", "as /to/thing"],
  [directory, "/", "directory", "as /thing"],
  [contents, "/to/new", "nothing", "as /to/new"],
  [contents, "/to/new/", "nothing", "as /to/new"],
  [contents, "/to/old", "other", /cannot copy the directory/],
  [contents, "/to", "directory", "into /to"],
  [contents, "/to/", "directory", "into /to"],
  [contents, "/", "directory", "into /"],
  [file, ".", "directory", "as ./thing"],
  [contents, "./", "directory", "into ."],
];

for (const [what, path, standing, expected] of rules) {
  const source = what as typeof file;
  const kind = source.contentsOnly ? "contents" : source.isDirectory ? "directory" : "file";
  test(`${kind} to ${path}, where there is ${standing}`, () => {
    const place = { path, standing, shown: `demo:${path}` };
    if (typeof expected === "string") {
      const destination = destinationOf(source, place);
      assert.equal(`${destination.kind} ${destination.path}`, expected);
    } else {
      assert.throws(
        () => destinationOf(source, place),
        (error) => error instanceof InvalidConfigError && expected.test(error.message) && error.hint !== "",
      );
    }
  });
}
