import * as v from "valibot";
import { jsonBytes } from "./check-patch.ts";

const mode = v.exactOptional(v.number());
const replace = v.boolean();
const keepDirectories = v.exactOptional(v.boolean());
const text = v.string();
/** In base64. */
const bytes = v.pipe(
  v.string(),
  v.transform((base64) => jsonBytes(Buffer.from(base64, "base64"))),
);

/** A patch in a sandbox's record. */
export const storedPatchSchema = v.variant("kind", [
  v.object({ kind: v.literal("text"), path: text, content: text, mode, replace }),
  v.object({ kind: v.literal("file"), path: text, content: bytes, mode, replace }),
  v.object({ kind: v.literal("copyFile"), src: text, dst: text, mode, replace, keepDirectories }),
  v.object({ kind: v.literal("copyDir"), src: text, dst: text, replace, keepDirectories }),
  v.object({ kind: v.literal("symlink"), target: text, link: text, replace }),
  v.object({ kind: v.literal("mkdir"), path: text, mode }),
  v.object({ kind: v.literal("remove"), path: text }),
  v.object({ kind: v.literal("append"), path: text, content: text }),
]);
