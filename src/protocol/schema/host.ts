import { requests, toClient, toSupervisor, type Area } from "./types.ts";

/** Asked of a supervisor that has no sandbox, by its owner: there is no hello before. */
export const host = {
  enums: {
    WarmOutcome: ["ready", "made"],
    FindingStatus: ["ok", "warning", "problem", "info"],
  },
  structs: {
    /** One fact about a host. `fix` is what to do about it; empty when there is nothing to do. */
    Finding: { name: "str", status: { enum: "FindingStatus" }, detail: "str", fix: "str" },
  },
  messages: {
    Warm: {
      tag: 80,
      routes: toSupervisor,
      doc: "Makes the template that sandboxes of this configuration, as config.json stores it, start from. Answered by Warmed.",
      fields: { config: "str" },
    },
    Warmed: {
      tag: 81,
      routes: toClient,
      doc: "There is a template: it was there already, or was made.",
      fields: { outcome: { enum: "WarmOutcome" } },
    },
    Diagnose: {
      tag: 82,
      routes: toSupervisor,
      doc: "Looks at everything on this host that a sandbox needs. Answered by Diagnosis.",
      fields: {},
    },
    Diagnosis: {
      tag: 83,
      routes: toClient,
      doc: "What was found, in the order in which it was looked at.",
      fields: { findings: { list: { struct: "Finding" } } },
    },
  },
  services: {
    host: requests(
      "Questions about this host, whatever sandboxes there are.",
      toSupervisor,
      ["Warm", "Diagnose"],
      ["Warmed", "Diagnosis"],
    ),
  },
} as const satisfies Area;
