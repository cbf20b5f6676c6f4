import type { CallName } from "../wire.ts";
import { nothing, type SomeCalls } from "./call.ts";
import { fileCalls } from "./file-calls.ts";
import { imageCalls } from "./image-calls.ts";
import { logCalls } from "./log-calls.ts";
import { networkCalls } from "./network-calls.ts";
import { sandboxCalls } from "./sandbox-calls.ts";
import { storageCalls } from "./storage-calls.ts";
import { treeCalls } from "./tree-calls.ts";

/** Everything that the page can ask for. */
export const calls: SomeCalls<CallName> = {
  "session.check": { args: nothing, run: () => Promise.resolve(null) },
  ...sandboxCalls,
  ...logCalls,
  ...fileCalls,
  ...networkCalls,
  ...treeCalls,
  ...imageCalls,
  ...storageCalls,
};
