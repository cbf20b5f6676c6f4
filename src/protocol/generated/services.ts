// Generated from src/protocol/schema/ by scripts/generate-protocol.ts. Change the schema, then run `npm run generate`.

import type { Route } from "../schema/types.ts";
import type { Message } from "./messages.ts";

type MessageType = Message["type"];

/** What one of the two who share a stream may send after it was opened. */
export interface SideRules {
  readonly messages: readonly MessageType[];
  readonly data: boolean;
  readonly extra: boolean;
}

/** What a stream can be opened for, and what may travel on it then. */
export interface Service {
  readonly name: string;
  /** From whom to whom it may be opened. */
  readonly routes: readonly Route[];
  readonly opener: SideRules;
  readonly acceptor: SideRules;
  /** The acceptor's last message; Failure is one, too. */
  readonly ends: readonly MessageType[];
}

/** A command. Data is its standard input one way, its standard output the other way; extra its standard error. Aborted, its process group is killed. */
const command: Service = {
  name: "command",
  routes: ["client→supervisor", "supervisor→agent"],
  opener: { messages: ["Signal", "Resize", "Release", "Unlogged"], data: true, extra: false },
  acceptor: { messages: ["ExecStarted", "ExecExited"], data: true, extra: true },
  ends: ["OutputsEnded", "ExecFailed", "Done"],
};

/** The start of a job. Aborted before its answer, it is killed. */
const startJob: Service = {
  name: "startJob",
  routes: ["client→supervisor"],
  opener: { messages: [], data: false, extra: false },
  acceptor: { messages: [], data: false, extra: false },
  ends: ["JobStarted", "ExecFailed"],
};

/** A subscription to a job: after each report the next one when it is asked for and there is more. The one that says how it ended comes unasked, and Done after it. Data is standard input. */
const job: Service = {
  name: "job",
  routes: ["client→supervisor"],
  opener: { messages: ["Next", "Resize"], data: true, extra: false },
  acceptor: { messages: ["JobReport"], data: false, extra: false },
  ends: ["Done"],
};

/** Something that is done to a job. */
const signalJob: Service = {
  name: "signalJob",
  routes: ["client→supervisor"],
  opener: { messages: [], data: false, extra: false },
  acceptor: { messages: [], data: false, extra: false },
  ends: ["Done"],
};

/** A question about a file, or something to be done to it. Aborted, what takes long is left half done. */
const file: Service = {
  name: "file",
  routes: ["client→supervisor", "supervisor→agent"],
  opener: { messages: [], data: false, extra: false },
  acceptor: { messages: [], data: false, extra: false },
  ends: ["FileMetadata", "FilePath", "FileDone", "FileFailed"],
};

/** The contents of a file, as data. */
const fileRead: Service = {
  name: "fileRead",
  routes: ["client→supervisor", "supervisor→agent"],
  opener: { messages: [], data: false, extra: false },
  acceptor: { messages: ["FileOpened"], data: true, extra: false },
  ends: ["FileDone", "FileFailed"],
};

/** New contents of a file, as data. Aborted, the old ones stay, unless they had to be written over in place. */
const fileWrite: Service = {
  name: "fileWrite",
  routes: ["client→supervisor", "supervisor→agent"],
  opener: { messages: [], data: true, extra: false },
  acceptor: { messages: ["FileOpened"], data: false, extra: false },
  ends: ["FileDone", "FileFailed"],
};

/** A tree out of the guest, as data. */
const treeSend: Service = {
  name: "treeSend",
  routes: ["client→supervisor", "supervisor→agent"],
  opener: { messages: [], data: false, extra: false },
  acceptor: { messages: ["FileOpened"], data: true, extra: false },
  ends: ["TreeDone", "FileFailed"],
};

/** A tree into the guest, as data. Aborted, a file that was under way is not there, those before it are. */
const treeReceive: Service = {
  name: "treeReceive",
  routes: ["client→supervisor", "supervisor→agent"],
  opener: { messages: [], data: true, extra: false },
  acceptor: { messages: ["FileOpened"], data: false, extra: false },
  ends: ["TreeDone", "FileFailed"],
};

/** A subscription to what happens to a file or in a directory. */
const fileWatch: Service = {
  name: "fileWatch",
  routes: ["client→supervisor", "supervisor→agent"],
  opener: { messages: ["Next"], data: false, extra: false },
  acceptor: { messages: ["FileOpened", "FileChanges"], data: false, extra: false },
  ends: ["FileDone", "FileFailed"],
};

/** The messages of one mount, each with four bytes before it that are of no meaning here: the kernel's requests one way, and the answers the other way (linux/fuse.h). There is a stream for each mount of each machine that is started. */
const providers: Service = {
  name: "providers",
  routes: ["supervisor→client"],
  opener: { messages: [], data: true, extra: false },
  acceptor: { messages: [], data: true, extra: false },
  ends: [],
};

/** What a program gives for the secrets of its sandbox, once for each run. */
const secretsGiven: Service = {
  name: "secretsGiven",
  routes: ["supervisor→client"],
  opener: { messages: [], data: false, extra: false },
  acceptor: { messages: [], data: false, extra: false },
  ends: ["SecretsGiven"],
};

/** A value of a secret, when it is needed. */
const secretFetch: Service = {
  name: "secretFetch",
  routes: ["supervisor→client"],
  opener: { messages: [], data: false, extra: false },
  acceptor: { messages: [], data: false, extra: false },
  ends: ["SecretFetched"],
};

/** One call of a function that looks at a request or a response. Data is the body that has come one way, and the one that the function makes the other way. A Failure before HookDecides is what the function has failed by, one after it breaks the message off. */
const hooks: Service = {
  name: "hooks",
  routes: ["supervisor→client"],
  opener: { messages: [], data: true, extra: false },
  acceptor: { messages: ["HookReads", "HookDecides"], data: true, extra: false },
  ends: ["HookDone"],
};

/** A change of the root. The data, if the patch has any, ends with End. */
const patch: Service = {
  name: "patch",
  routes: ["supervisor→agent"],
  opener: { messages: [], data: true, extra: false },
  acceptor: { messages: [], data: false, extra: false },
  ends: ["FileDone", "FileFailed"],
};

/** A sign of life of the guest. */
const ping: Service = {
  name: "ping",
  routes: ["client→supervisor", "supervisor→agent"],
  opener: { messages: [], data: false, extra: false },
  acceptor: { messages: [], data: false, extra: false },
  ends: ["Pong"],
};

/** Puts off the idle timeout. */
const touch: Service = {
  name: "touch",
  routes: ["client→supervisor"],
  opener: { messages: [], data: false, extra: false },
  acceptor: { messages: [], data: false, extra: false },
  ends: ["Touched"],
};

/** How and when the sandbox ends. */
const end: Service = {
  name: "end",
  routes: ["client→supervisor"],
  opener: { messages: [], data: false, extra: false },
  acceptor: { messages: [], data: false, extra: false },
  ends: ["Done"],
};

/** Has the guest stand still. */
const stillness: Service = {
  name: "stillness",
  routes: ["supervisor→agent"],
  opener: { messages: [], data: false, extra: false },
  acceptor: { messages: [], data: false, extra: false },
  ends: ["StandsStill"],
};

/** Writes back what is only in the guest's memory. */
const flush: Service = {
  name: "flush",
  routes: ["supervisor→agent"],
  opener: { messages: [], data: false, extra: false },
  acceptor: { messages: [], data: false, extra: false },
  ends: ["FileDone", "FileFailed"],
};

/** The upper disk as it is at one moment. Frozen for as long as the stream is open. */
const diskFreeze: Service = {
  name: "diskFreeze",
  routes: ["supervisor→agent"],
  opener: { messages: ["ReleaseDisk"], data: false, extra: false },
  acceptor: { messages: ["DiskFrozen"], data: false, extra: false },
  ends: ["FileDone", "FileFailed"],
};

/** The upper disk as it is at one moment, for whoever copies it. Held for as long as the stream is open. */
const diskHold: Service = {
  name: "diskHold",
  routes: ["client→supervisor"],
  opener: { messages: ["ReleaseDisk"], data: false, extra: false },
  acceptor: { messages: ["DiskHeld"], data: false, extra: false },
  ends: ["Done"],
};

/** Whether the guest runs. */
const pause: Service = {
  name: "pause",
  routes: ["client→supervisor"],
  opener: { messages: [], data: false, extra: false },
  acceptor: { messages: [], data: false, extra: false },
  ends: ["Done"],
};

/** A copy of the guest. */
const capture: Service = {
  name: "capture",
  routes: ["client→supervisor"],
  opener: { messages: [], data: false, extra: false },
  acceptor: { messages: [], data: false, extra: false },
  ends: ["Captured"],
};

/** A copy to go back to. */
const checkpoint: Service = {
  name: "checkpoint",
  routes: ["client→supervisor"],
  opener: { messages: [], data: false, extra: false },
  acceptor: { messages: [], data: false, extra: false },
  ends: ["Captured"],
};

/** The way back to it. */
const rollback: Service = {
  name: "rollback",
  routes: ["client→supervisor"],
  opener: { messages: [], data: false, extra: false },
  acceptor: { messages: [], data: false, extra: false },
  ends: ["Done"],
};

/** The orderly end of the guest. */
const shutdown: Service = {
  name: "shutdown",
  routes: ["supervisor→agent"],
  opener: { messages: [], data: false, extra: false },
  acceptor: { messages: [], data: false, extra: false },
  ends: ["ShuttingDown"],
};

/** A subscription to the sandbox's state, until its end. */
const states: Service = {
  name: "states",
  routes: ["client→supervisor"],
  opener: { messages: ["Next"], data: false, extra: false },
  acceptor: { messages: ["StateChanged"], data: false, extra: false },
  ends: ["Ended"],
};

/** What the guest has left. */
const stats: Service = {
  name: "stats",
  routes: ["supervisor→agent"],
  opener: { messages: [], data: false, extra: false },
  acceptor: { messages: [], data: false, extra: false },
  ends: ["Stats"],
};

/** What the sandbox uses, once. */
const sample: Service = {
  name: "sample",
  routes: ["client→supervisor"],
  opener: { messages: [], data: false, extra: false },
  acceptor: { messages: [], data: false, extra: false },
  ends: ["Metrics"],
};

/** A subscription to what the sandbox uses. Fails with sandboxNotRunning at its end. */
const metrics: Service = {
  name: "metrics",
  routes: ["client→supervisor"],
  opener: { messages: ["Next"], data: false, extra: false },
  acceptor: { messages: ["Metrics"], data: false, extra: false },
  ends: [],
};

/** A subscription to the growth of the sandbox's logs, until its end. What is in them is read from their files. */
const logs: Service = {
  name: "logs",
  routes: ["client→supervisor"],
  opener: { messages: ["Next"], data: false, extra: false },
  acceptor: { messages: ["LogsChanged"], data: false, extra: false },
  ends: ["Ended"],
};

/** What a sandbox's network is and has done. */
const networkStatus: Service = {
  name: "networkStatus",
  routes: ["client→supervisor"],
  opener: { messages: [], data: false, extra: false },
  acceptor: { messages: [], data: false, extra: false },
  ends: ["NetworkStatus"],
};

/** A change of a running sandbox's network. */
const networkUpdate: Service = {
  name: "networkUpdate",
  routes: ["client→supervisor"],
  opener: { messages: [], data: false, extra: false },
  acceptor: { messages: [], data: false, extra: false },
  ends: ["NetworkStatus"],
};

/** A change of a running sandbox's secrets. */
const secretsModification: Service = {
  name: "secretsModification",
  routes: ["client→supervisor"],
  opener: { messages: [], data: false, extra: false },
  acceptor: { messages: [], data: false, extra: false },
  ends: ["Done"],
};

/** A TCP connection to a port of the guest. No data before GuestConnected. End is a FIN; Failure is a reset, or that there was no connection. */
const guestConnection: Service = {
  name: "guestConnection",
  routes: ["client→supervisor"],
  opener: { messages: [], data: true, extra: false },
  acceptor: { messages: ["GuestConnected"], data: true, extra: false },
  ends: ["GuestDisconnected"],
};

/** A subscription to what comes to pass on the network, in which every event counts, until the sandbox's end. The first answer comes at once, and those after it when there is something to tell. */
const networkEvents: Service = {
  name: "networkEvents",
  routes: ["client→supervisor"],
  opener: { messages: ["Next"], data: false, extra: false },
  acceptor: { messages: ["NetworkEvents"], data: false, extra: false },
  ends: ["Ended"],
};

/** What the guest tells unasked. There is one such stream, from Boot to the end. */
const events: Service = {
  name: "events",
  routes: ["agent→supervisor"],
  opener: { messages: ["OutOfMemory", "PowerOff"], data: false, extra: false },
  acceptor: { messages: [], data: false, extra: false },
  ends: [],
};

/** What programs of the guest tell, while somebody listens. The opener says that nobody does any more with Failure. */
const insideEvents: Service = {
  name: "insideEvents",
  routes: ["supervisor→agent"],
  opener: { messages: [], data: false, extra: false },
  acceptor: { messages: [], data: true, extra: false },
  ends: [],
};

/** What programs of the guest are told. */
const insideTelling: Service = {
  name: "insideTelling",
  routes: ["client→supervisor", "supervisor→agent"],
  opener: { messages: [], data: false, extra: false },
  acceptor: { messages: [], data: false, extra: false },
  ends: ["ToldInside"],
};

/** A subscription to a sandbox's events, until its end. */
const watchedEvents: Service = {
  name: "watchedEvents",
  routes: ["client→supervisor"],
  opener: { messages: [], data: false, extra: false },
  acceptor: { messages: ["EventsBegin"], data: true, extra: false },
  ends: ["Ended"],
};

/** Questions about this host, whatever sandboxes there are. */
const host: Service = {
  name: "host",
  routes: ["client→supervisor"],
  opener: { messages: [], data: false, extra: false },
  acceptor: { messages: [], data: false, extra: false },
  ends: ["Warmed", "Diagnosis"],
};

/** By the message that opens a stream of it. */
export const serviceOpenedBy: ReadonlyMap<MessageType, Service> = new Map<MessageType, Service>([
  ["Exec", command],
  ["StartJob", startJob],
  ["AttachJob", job],
  ["SignalJob", signalJob],
  ["FileStat", file],
  ["FileMakeDirectory", file],
  ["FileRemove", file],
  ["FileRename", file],
  ["FileCopy", file],
  ["FileSymlink", file],
  ["FileReadLink", file],
  ["FileRealPath", file],
  ["FileSetMode", file],
  ["FileSetOwner", file],
  ["FileSetTimes", file],
  ["FileTruncate", file],
  ["FileRead", fileRead],
  ["FileWrite", fileWrite],
  ["TreeSend", treeSend],
  ["TreeReceive", treeReceive],
  ["FileWatch", fileWatch],
  ["ProvideFiles", providers],
  ["GiveSecrets", secretsGiven],
  ["FetchSecret", secretFetch],
  ["LookAtRequest", hooks],
  ["LookAtResponse", hooks],
  ["PatchApply", patch],
  ["Ping", ping],
  ["Touch", touch],
  ["Detach", end],
  ["Stop", end],
  ["Kill", end],
  ["Drain", end],
  ["Discard", end],
  ["HoldStill", stillness],
  ["FlushDisks", flush],
  ["FreezeDisk", diskFreeze],
  ["HoldDisk", diskHold],
  ["Pause", pause],
  ["Resume", pause],
  ["Suspend", pause],
  ["Capture", capture],
  ["MakeCheckpoint", checkpoint],
  ["RollBack", rollback],
  ["Shutdown", shutdown],
  ["WatchState", states],
  ["StatsRequest", stats],
  ["MetricsRequest", sample],
  ["WatchMetrics", metrics],
  ["WatchLogs", logs],
  ["NetworkRequest", networkStatus],
  ["UpdateNetwork", networkUpdate],
  ["ModifySecrets", secretsModification],
  ["ConnectGuest", guestConnection],
  ["WatchNetwork", networkEvents],
  ["Events", events],
  ["ListenInside", insideEvents],
  ["TellInside", insideTelling],
  ["WatchEvents", watchedEvents],
  ["Warm", host],
  ["Diagnose", host],
]);

/** What may be said on stream 0. */
export const connectionMessages: readonly MessageType[] = [
  "AgentHello",
  "Seed",
  "Clock",
  "Mount",
  "Mounted",
  "Boot",
  "Ready",
  "GoOn",
  "BecomeCopy",
  "BootFailed",
  "ClientHello",
  "SupervisorHello",
  "StartProgress",
  "Notice",
  "Started",
  "Failure",
];
