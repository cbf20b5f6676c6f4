import { repeated } from "../grammar/command.ts";
import { text } from "../values/simple.ts";

/** Options of other versions. They are known, so that they can be refused by name. */
export const laterNetworkFlags = {
  vsock: repeated({ hidden: true, description: "Not in this version", placeholder: "TEXT", parse: text }),
} as const;
