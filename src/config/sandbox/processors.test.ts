import assert from "node:assert/strict";
import { availableParallelism } from "node:os";
import { test } from "node:test";
import { shortOfProcessors } from "./processors.ts";

test("more processors than there are are told of, others are not", () => {
  assert.equal(shortOfProcessors({ cpus: 2 }, 2), null);
  assert.match(
    shortOfProcessors({ cpus: 99 }, 2) ?? "",
    /^99 virtual CPUs share the 2 processors of this host/,
  );
  assert.match(shortOfProcessors({ cpus: 2 }, 1) ?? "", /share the one processor of this host.*with 1$/);
  assert.equal(shortOfProcessors({ cpus: availableParallelism() }), null);
});
