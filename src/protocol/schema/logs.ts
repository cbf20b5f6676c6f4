import { silent, toClient, toSupervisor, type Area } from "./types.ts";

export const logs = {
  messages: {
    WatchLogs: {
      tag: 66,
      routes: toSupervisor,
      doc: "Asks to be told whenever the sandbox's logs have grown.",
      fields: {},
    },
    LogsChanged: {
      tag: 67,
      routes: toClient,
      doc: "There is more in the files of the logs than there was when this was said last.",
      fields: {},
    },
  },
  services: {
    logs: {
      doc: "A subscription to the growth of the sandbox's logs, until its end. What is in them is read from their files.",
      opens: ["WatchLogs"],
      routes: toSupervisor,
      opener: { messages: ["Next"], data: [] },
      acceptor: { ...silent, messages: ["LogsChanged"], ends: ["Ended"] },
    },
  },
} as const satisfies Area;
