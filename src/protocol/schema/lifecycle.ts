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

export const lifecycle = {
  enums: {
    SandboxState: ["starting", "running", "draining", "stopped", "crashed"],
  },
  messages: {
    Ping: {
      tag: 30,
      routes: down,
      doc: "Answered by Pong. Does not count as activity.",
      fields: { nonce: "u32" },
    },
    Pong: { tag: 31, routes: up, doc: "The answer to Ping.", fields: { nonce: "u32" } },
    Shutdown: {
      tag: 34,
      routes: toAgent,
      doc: "The signal to everything, SIGTERM after half of graceMs if it was another one, SIGKILL after graceMs, sync, unmount, power off. Answered by ShuttingDown.",
      fields: { graceMs: "u32", signal: "u8" },
    },
    ShuttingDown: {
      tag: 35,
      routes: fromAgent,
      doc: "Processes are gone and file systems are flushed; the guest powers off next.",
      fields: {},
    },
    Touch: { tag: 50, routes: toSupervisor, doc: "Counts as activity. Answered by Touched.", fields: {} },
    Touched: {
      tag: 51,
      routes: toClient,
      doc: "The number of activities so far.",
      fields: { activitySequence: "u53" },
    },
    Detach: {
      tag: 52,
      routes: toSupervisor,
      doc: "The owner gives up ownership. Answered by Done.",
      fields: {},
    },
    Stop: {
      tag: 53,
      routes: toSupervisor,
      doc: "Orderly stop; the VM is killed after graceMs. Answered by Done at once; the end is reported by Ended.",
      fields: { graceMs: "u32" },
    },
    Kill: { tag: 54, routes: toSupervisor, doc: "Ends the VM at once. Answered by Done.", fields: {} },
    Drain: {
      tag: 55,
      routes: toSupervisor,
      doc: "Refuse new commands, stop when the last one ends. Answered by Done.",
      fields: {},
    },
    Done: { tag: 60, routes: toClient, doc: "The request was carried out.", fields: {} },
    WatchState: {
      tag: 62,
      routes: toSupervisor,
      doc: "Asks for the state, now and whenever it has changed.",
      fields: {},
    },
    StateChanged: {
      tag: 63,
      routes: toClient,
      doc: "The state as it is now. States that came and went before the client asked for the next one are left out.",
      fields: { state: { enum: "SandboxState" } },
    },
    Next: {
      tag: 64,
      routes: down,
      doc: "The subscriber has used the last item and can take one more. So one that is slow has at most one under way, the newest.",
      fields: {},
    },
    Discard: {
      tag: 56,
      routes: toSupervisor,
      doc: "Ends the VM of an ephemeral sandbox at once. Answered by Done as soon as nobody finds the sandbox any more and its name is free; what there is of it goes after that.",
      fields: {},
    },
    Ended: {
      tag: 57,
      routes: toClient,
      doc: "The sandbox has ended and its state is on disk. exitCode/signal are QEMU's.",
      fields: {
        state: { enum: "SandboxState" },
        exitCode: { optional: "i32" },
        signal: { optional: "str" },
        reason: "str",
      },
    },
  },
  services: {
    ping: requests("A sign of life of the guest.", down, ["Ping"], ["Pong"]),
    touch: requests("Puts off the idle timeout.", toSupervisor, ["Touch"], ["Touched"]),
    end: requests(
      "How and when the sandbox ends.",
      toSupervisor,
      ["Detach", "Stop", "Kill", "Drain", "Discard"],
      ["Done"],
    ),
    shutdown: requests("The orderly end of the guest.", toAgent, ["Shutdown"], ["ShuttingDown"]),
    states: {
      doc: "A subscription to the sandbox's state, until its end.",
      opens: ["WatchState"],
      routes: toSupervisor,
      opener: { messages: ["Next"], data: [] },
      acceptor: { ...silent, messages: ["StateChanged"], ends: ["Ended"] },
    },
  },
} as const satisfies Area;
