import { fromAgent, silent, type Area } from "./types.ts";

export const events = {
  messages: {
    Events: {
      tag: 36,
      routes: fromAgent,
      doc: "The guest is a sandbox and tells what happens in it.",
      fields: {},
    },
    OutOfMemory: {
      tag: 37,
      routes: fromAgent,
      doc: "The guest's kernel has killed processes because memory ran out: so many since it booted (oom_kill of /proc/vmstat).",
      fields: { kills: "u53" },
    },
    PowerOff: {
      tag: 38,
      routes: fromAgent,
      doc: "Somebody inside has asked for the guest's end (poweroff, halt, reboot).",
      fields: {},
    },
  },
  services: {
    events: {
      doc: "What the guest tells unasked. There is one such stream, from Boot to the end.",
      opens: ["Events"],
      routes: fromAgent,
      opener: { messages: ["OutOfMemory", "PowerOff"], data: [] },
      acceptor: { ...silent, ends: [] },
    },
  },
} as const satisfies Area;
