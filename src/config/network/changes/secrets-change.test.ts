import assert from "node:assert/strict";
import { test } from "node:test";
import { secret } from "../../../../test/support/secret-sample.ts";
import { liveSecrets } from "./secrets-change.ts";

const key = secret({ envVar: "KEY", placeholder: "$MSB_KEY" });
const gone = secret({ envVar: "GONE", placeholder: "$MSB_GONE" });
const inForce = [key, gone];
// Left for the next start: another placeholder and other hosts, a new secret, a removal.
const pending = { ...key, placeholder: "sk-new", hosts: ["later.example"] };
const fresh = secret({ envVar: "NEW", placeholder: "$MSB_NEW" });
const kept = [pending, fresh];

test("a live change brings nothing into force that was left for the next start", () => {
  assert.deepEqual(liveSecrets(inForce, kept, kept), inForce);
  assert.deepEqual(liveSecrets(inForce, kept, [{ ...pending, hosts: ["now.example"] }, fresh]), [
    { ...key, hosts: ["now.example"] },
    gone,
  ]);
  const moved = { ...pending, source: { kind: "env", var: "OTHER" } as const };
  assert.deepEqual(liveSecrets(inForce, kept, [moved, fresh]), [{ ...key, source: moved.source }, gone]);
  assert.deepEqual(liveSecrets(inForce, kept, [fresh]), [gone]);
});
