import { nodeTooOld } from "./host/node-version.ts";

// Before anything else of the library, which an old Node would fail in somewhere, and say nothing of use.
const fault = nodeTooOld("microsandbox", process.versions.node);
if (fault !== null) {
  throw Object.assign(new Error(`${fault.message}. ${fault.hint}`), {
    code: "UnsupportedNode",
    hint: fault.hint,
  });
}
