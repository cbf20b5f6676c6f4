import {
  down,
  fromAgent,
  requests,
  silent,
  toAgent,
  toClient,
  toSupervisor,
  up,
  type Area,
} from "./types.ts";

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
    ListenInside: {
      tag: 47,
      routes: toAgent,
      doc: "Somebody listens to the events that programs of the guest tell at /run/agent.sock. They come as records (`src/protocol/event-records.ts`) until it is aborted. There is one such stream at most.",
      fields: {},
    },
    TellInside: {
      tag: 48,
      routes: down,
      doc: "An event for the programs of the guest that listen for its name. `data` is JSON on one line; empty: it has none. Answered by ToldInside.",
      fields: { name: "str", timeMs: "u53", data: "bytes" },
    },
    ToldInside: {
      tag: 49,
      routes: up,
      doc: "How many programs listen for it, and how many of these have left so much unread that they miss it.",
      fields: { listeners: "u32", missed: "u32" },
    },
    WatchEvents: {
      tag: 170,
      routes: toSupervisor,
      doc: "Asks for the sandbox's events from now on, as records (`src/protocol/event-records.ts`). Names that end with * stand for all that begin so; without any it is asked for all. Answered by EventsBegin.",
      fields: { names: { list: "str" } },
    },
    EventsBegin: {
      tag: 171,
      routes: toClient,
      doc: "What comes to pass from now on is told, and the guest has been asked before whatever it is asked next.",
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
    insideEvents: {
      doc: "What programs of the guest tell, while somebody listens. The opener says that nobody does any more with Failure.",
      opens: ["ListenInside"],
      routes: toAgent,
      opener: silent,
      acceptor: { messages: [], data: ["data"], ends: [] },
    },
    insideTelling: requests("What programs of the guest are told.", down, ["TellInside"], ["ToldInside"]),
    watchedEvents: {
      doc: "A subscription to a sandbox's events, until its end.",
      opens: ["WatchEvents"],
      routes: toSupervisor,
      opener: silent,
      acceptor: { messages: ["EventsBegin"], data: ["data"], ends: ["Ended"] },
    },
  },
} as const satisfies Area;
