import { toAgent, type Area } from "./types.ts";

/** What is done to a guest's root between its mount and its first program. One patch at a time, each on a stream of its own. */
export const patches = {
  enums: {
    /**
     * file, script: the contents are data. tree: records as of TreeReceive, of a file or a directory. append: data for the end of a
     * file. script goes into the agent's own directory, which a patch must not touch.
     */
    PatchKind: ["file", "script", "tree", "append", "symlink", "directory", "remove"],
  },
  messages: {
    PatchApply: {
      tag: 130,
      routes: toAgent,
      doc: "Comes after the root is mounted and before Boot. mode null: that of the tree's root, 0644 or 0755. target: of a symlink. inPlace: the root is a directory of the host's, whose owners and modes are the host's. keepDirectories: no directory that is there is replaced by anything else. into: the name that a file of the host's gets in a directory that is at the path; empty: it takes its place.",
      fields: {
        kind: { enum: "PatchKind" },
        path: "bytes",
        mode: { optional: "u16" },
        replace: "bool",
        target: "bytes",
        inPlace: "bool",
        keepDirectories: "bool",
        into: "bytes",
      },
    },
  },
  services: {
    patch: {
      doc: "A change of the root. The data, if the patch has any, ends with End.",
      opens: ["PatchApply"],
      routes: toAgent,
      opener: { messages: [], data: ["data"] },
      acceptor: { messages: [], data: [], ends: ["FileDone", "FileFailed"] },
    },
  },
} as const satisfies Area;
