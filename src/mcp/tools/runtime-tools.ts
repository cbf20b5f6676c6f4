import { install } from "../../api/index.ts";
import { ToolError } from "../call/tool-failure.ts";
import { tool } from "../call/tool.ts";
import { maxBytes, text, whole } from "../inputs/fields.ts";
import { textAt } from "../state/kept-outputs.ts";
import { listOf } from "./listings.ts";

const check = tool({
  name: "runtime_check",
  description:
    "Looks at everything on this computer that a sandbox needs, and says what to do about what is missing.",
  effect: "reads",
  input: {},
  run: async (_input, { bench, signal }) => ({ data: await listOf("runtime", bench, signal) }),
});

const installTool = tool({
  name: "runtime_install",
  description:
    "Makes the directory for sandboxes and verifies what they run from. Nothing is downloaded; QEMU has to be installed by a person.",
  effect: "changes",
  input: {},
  run: async (_input, { signal }) => {
    await install({ signal });
    return { data: { installed: true } };
  },
});

const readOutput = tool({
  name: "output_read",
  description: "The rest of an output that was too long for a result: what its `truncated` names.",
  effect: "reads",
  input: {
    id: text("As truncated has it."),
    offset: whole(0, Number.MAX_SAFE_INTEGER, "Bytes from its beginning."),
    maxBytes,
  },
  run: async ({ id, offset, maxBytes: asked }, { bench }) => {
    const output = bench.outputs.get(id);
    if (output === undefined)
      throw new ToolError(
        "operation_failed",
        `no output ${id} is kept`,
        "It is kept for a while only: run the command again, or read sandbox_logs_read.",
      );
    const most = Math.min(asked ?? Infinity, bench.settings.maxOutputBytes);
    const { text: part, bytes } = textAt(output.bytes, offset, most);
    const nextOffset = offset + bytes < output.bytes.length ? offset + bytes : null;
    const { bytes: kept, totalBytes, what } = output;
    return {
      data: {
        what,
        text: part,
        offset,
        returnedBytes: bytes,
        nextOffset,
        keptBytes: kept.length,
        totalBytes,
      },
    };
  },
});

export const runtimeTools = [check, installTool, readOutput];
