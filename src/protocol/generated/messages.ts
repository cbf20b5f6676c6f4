// Generated from src/protocol/schema/ by scripts/generate-protocol.ts. Change the schema, then run `npm run generate`.

import type { Route } from "../schema/types.ts";
import { violation } from "../violation.ts";
import { WireReader, WireWriter } from "../wire.ts";

/** Both ends of a hop must have the same one; compared in the first message each sends. */
export const PROTOCOL_VERSION = 6;

export const startRoutes = ["prelaunched", "restored", "cold", "continued"] as const;
export type StartRoute = (typeof startRoutes)[number];

export const stdinModes = ["null", "pipe"] as const;
export type StdinMode = (typeof stdinModes)[number];

export const spawnStages = ["request", "user", "pty", "pipe", "fork", "rlimit", "groups", "cwd", "exec", "interpreter"] as const;
export type SpawnStage = (typeof spawnStages)[number];

export const jobStates = ["starting", "running", "exited", "failed", "lost"] as const;
export type JobState = (typeof jobStates)[number];

export const jobAccesss = ["wait", "read", "write"] as const;
export type JobAccess = (typeof jobAccesss)[number];

export const fileKinds = ["file", "directory", "symlink", "other"] as const;
export type FileKind = (typeof fileKinds)[number];

export const fileChangeKinds = ["created", "modified", "closed", "attributes", "deleted", "movedFrom", "movedTo", "gone", "overflow"] as const;
export type FileChangeKind = (typeof fileChangeKinds)[number];

export const hookedBodys = ["kept", "made"] as const;
export type HookedBody = (typeof hookedBodys)[number];

export const patchKinds = ["file", "script", "tree", "append", "symlink", "directory", "remove"] as const;
export type PatchKind = (typeof patchKinds)[number];

export const sandboxStates = ["starting", "running", "draining", "stopped", "crashed", "paused"] as const;
export type SandboxState = (typeof sandboxStates)[number];

export const pausedCallss = ["fail", "wait", "wake"] as const;
export type PausedCalls = (typeof pausedCallss)[number];

export const guestFlushs = ["auto", "required", "skip"] as const;
export type GuestFlush = (typeof guestFlushs)[number];

export const copyPurposes = ["fork", "snapshot", "pool"] as const;
export type CopyPurpose = (typeof copyPurposes)[number];

export const diskHolds = ["frozen", "halted", "paused"] as const;
export type DiskHold = (typeof diskHolds)[number];

export const portProtocols = ["tcp", "udp"] as const;
export type PortProtocol = (typeof portProtocols)[number];

export const flowProtocols = ["tcp", "udp", "icmpv4", "icmpv6"] as const;
export type FlowProtocol = (typeof flowProtocols)[number];

export const flowDirections = ["egress", "ingress"] as const;
export type FlowDirection = (typeof flowDirections)[number];

export const warmOutcomes = ["ready", "made"] as const;
export type WarmOutcome = (typeof warmOutcomes)[number];

export const findingStatuss = ["ok", "warning", "problem", "info"] as const;
export type FindingStatus = (typeof findingStatuss)[number];

export interface GuestNetwork {
  readonly mac: Uint8Array;
  readonly mtu: number;
  readonly addresses: readonly GuestAddress[];
}

export interface GuestAddress {
  readonly address: Uint8Array;
  readonly prefix: number;
  readonly gateway: Uint8Array;
}

export interface GuestTrust {
  readonly authority: string | null;
  readonly hostRoots: readonly string[];
}

export interface Script {
  readonly name: string;
  readonly content: Uint8Array;
}

export interface GuestMount {
  readonly path: string;
  readonly readOnly: boolean;
  readonly noExec: boolean;
  readonly noSuid: boolean;
  readonly noDevices: boolean;
  readonly memory: MemoryMount | null;
  readonly disk: DiskMount | null;
  readonly files: HostFiles | null;
}

export interface MemoryMount {
  readonly sizeMib: number;
}

export interface DiskMount {
  readonly fileSystem: DiskFileSystem;
  readonly fills: boolean;
}

export interface HostFiles {
  readonly isFile: boolean;
}

export interface Root {
  readonly layered: LayeredRoot | null;
  readonly shared: SharedRoot | null;
  readonly disk: DiskFileSystem | null;
}

export interface LayeredRoot {
  readonly lower: DiskFileSystem;
  readonly upperSerial: string | null;
  readonly upperSizeMib: number;
}

export interface SharedRoot {
  readonly tag: string;
}

export interface DiskFileSystem {
  readonly serial: string;
  readonly fsType: string;
}

export interface ResourceLimit {
  readonly resource: number;
  readonly soft: bigint;
  readonly hard: bigint;
}

export interface TreeEntry {
  readonly path: Uint8Array;
  readonly kind: FileKind;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtimeNs: bigint;
  readonly size: number;
  readonly target: Uint8Array;
}

export interface FileProblem {
  readonly path: Uint8Array;
  readonly operation: string;
  readonly errno: number;
  readonly message: string;
}

export interface FileChange {
  readonly kind: FileChangeKind;
  readonly name: Uint8Array;
  readonly isDirectory: boolean;
  readonly cookie: number;
}

export interface HookedField {
  readonly name: string;
  readonly value: string;
}

export interface HookedRequestHead {
  readonly method: string;
  readonly url: string;
  readonly fields: readonly HookedField[];
}

export interface GivenSecret {
  readonly envVar: string;
  readonly value: string | null;
}

export interface BoundPort {
  readonly hostBind: string;
  readonly hostPort: number;
  readonly guestPort: number;
  readonly protocol: PortProtocol;
  readonly proxyProtocol: boolean;
}

export interface NetworkCounters {
  readonly rxBytes: number;
  readonly txBytes: number;
  readonly rxFrames: number;
  readonly txFrames: number;
  readonly flowsOpened: number;
  readonly flowsDenied: number;
  readonly dnsQueries: number;
  readonly dnsDenied: number;
  readonly activeFlows: number;
}

export interface ActiveFlow {
  readonly flow: number;
  readonly openedMs: number;
  readonly direction: FlowDirection;
  readonly protocol: FlowProtocol;
  readonly address: string;
  readonly port: number | null;
  readonly name: string | null;
  readonly rule: number | null;
}

export interface Finding {
  readonly name: string;
  readonly status: FindingStatus;
  readonly detail: string;
  readonly fix: string;
}

/** Half-close: this side sends no more data on the stream. Messages may follow. */
export interface EndMessage {
  readonly type: "End";
}

/** This side has no use for more data (as RFC 9000, 19.5): what is sent from now on is dropped. */
export interface StopSendingMessage {
  readonly type: "StopSending";
}

/** The receiver of data on this stream can take so many bytes more, data and extra together. Credits add up, but never to more than was sent. */
export interface CreditMessage {
  readonly type: "Credit";
  readonly bytes: number;
}

/** Aborts the stream. From the one who accepted it this is the last word. From the one who opened it, it is a wish: the other one answers with the last word, and what arrives before that is dropped. `code` is a MicrosandboxErrorCode; `details` is a JSON object: the error's own `fields`, its `log` and its `cause`. */
export interface FailureMessage {
  readonly type: "Failure";
  readonly code: string;
  readonly message: string;
  readonly hint: string;
  readonly details: string;
}

/** The agent's first frame, once it can answer. Nothing is mounted yet. */
export interface AgentHelloMessage {
  readonly type: "AgentHello";
  readonly protocolVersion: number;
  readonly agentVersion: string;
  readonly kernelRelease: string;
}

/** What no two guests may share, mixed into the kernel's pool before anything else (RNDADDENTROPY, RNDRESEEDCRNG). Sent first to every guest: one that was restored from a template has the random pool of all others. */
export interface SeedMessage {
  readonly type: "Seed";
  readonly protocolVersion: number;
  readonly entropy: Uint8Array;
}

/** The time of day, since 1970 in UTC, as it was when this message was written. */
export interface ClockMessage {
  readonly type: "Clock";
  readonly seconds: number;
  readonly nanoseconds: number;
}

/** Makes the guest's root file system, and mounts the kernel's own in it. Answered by Mounted or BootFailed. A template of an image is saved after it. */
export interface MountMessage {
  readonly type: "Mount";
  readonly root: Root;
  readonly tmpSizeMib: number;
  readonly programs: readonly string[];
  readonly network: GuestNetwork | null;
  readonly trust: GuestTrust | null;
}

/** The answer to Mount. */
export interface MountedMessage {
  readonly type: "Mounted";
}

/** Everything else that makes the guest this sandbox and no other. Comes after Seed and Mount; answered by Ready or BootFailed. */
export interface BootMessage {
  readonly type: "Boot";
  readonly hostname: string;
  readonly workdir: string;
  readonly mounts: readonly GuestMount[];
  readonly scripts: readonly Script[];
  readonly network: GuestNetwork | null;
  readonly trust: GuestTrust | null;
}

/** The root file system is mounted and commands can be run. */
export interface ReadyMessage {
  readonly type: "Ready";
}

/** A guest that stands still goes on as the sandbox that it is. With `elsewhere` in another machine than before: its connections to the outside are reset. */
export interface GoOnMessage {
  readonly type: "GoOn";
  readonly elsewhere: boolean;
}

/** A guest that stands still is a copy of the one that was asked to: it gets a name and an id of its own, and goes on, unless it is to stand still until it is told again. Comes after Seed; answered by Ready or BootFailed. The names are those of the sandboxes, for /.msb/fork.json; the signal is for all programs that have a handler for it, 0 for none. */
export interface BecomeCopyMessage {
  readonly type: "BecomeCopy";
  readonly hostname: string;
  readonly name: string;
  readonly source: string;
  readonly signal: number;
  readonly goesOn: boolean;
}

/** The guest could not become the sandbox: the answer to a Seed, Mount or Boot that failed. `step` names what was tried; errno 0 when no system call failed. */
export interface BootFailedMessage {
  readonly type: "BootFailed";
  readonly step: string;
  readonly errno: number;
  readonly message: string;
}

/** A client's first frame. A sandboxId other than the supervisor's is answered with Failure code sandboxReplaced. */
export interface ClientHelloMessage {
  readonly type: "ClientHello";
  readonly protocolVersion: number;
  readonly sandboxId: string;
}

/** The answer to ClientHello. */
export interface SupervisorHelloMessage {
  readonly type: "SupervisorHello";
  readonly protocolVersion: number;
  readonly sandboxId: string;
  readonly name: string;
  readonly state: SandboxState;
}

/** To the owner: a stage of starting has begun; elapsedMs counts from the supervisor's own start. */
export interface StartProgressMessage {
  readonly type: "StartProgress";
  readonly stage: string;
  readonly elapsedMs: number;
}

/** To the owner: something the user should be told once, such as a fallback to software emulation. */
export interface NoticeMessage {
  readonly type: "Notice";
  readonly message: string;
}

/** To the owner: the sandbox is running. `reason` says for a person how it was started and why not in a quicker way; elapsedMs counts from the supervisor's own start. */
export interface StartedMessage {
  readonly type: "Started";
  readonly accelerator: string;
  readonly route: StartRoute;
  readonly reason: string;
  readonly elapsedMs: number;
}

/** Starts a command. `env` is the whole environment as KEY=value. */
export interface ExecMessage {
  readonly type: "Exec";
  readonly argv: readonly string[];
  readonly env: readonly string[];
  readonly cwd: string;
  readonly user: string;
  readonly tty: boolean;
  readonly rows: number;
  readonly cols: number;
  readonly stdin: StdinMode;
  readonly rlimits: readonly ResourceLimit[];
}

/** The program image was replaced: execve succeeded. sessionId is 0 on the agent's hop. */
export interface ExecStartedMessage {
  readonly type: "ExecStarted";
  readonly pid: number;
  readonly sessionId: number;
}

/** The command could not be started. errno 0 when no system call failed. */
export interface ExecFailedMessage {
  readonly type: "ExecFailed";
  readonly stage: SpawnStage;
  readonly errno: number;
  readonly message: string;
}

/** The process ended, and what it had written by then was sent before this. signal 0 = it exited with code. Others may hold its stdout and stderr: what they write follows. */
export interface ExecExitedMessage {
  readonly type: "ExecExited";
  readonly code: number;
  readonly signal: number;
}

/** Comes after ExecExited: nobody holds the command's stdout and stderr any more. */
export interface OutputsEndedMessage {
  readonly type: "OutputsEnded";
}

/** Sends a signal to the whole process group. */
export interface SignalMessage {
  readonly type: "Signal";
  readonly signal: number;
}

/** New size of the command's terminal. */
export interface ResizeMessage {
  readonly type: "Resize";
  readonly rows: number;
  readonly cols: number;
}

/** The client leaves the command, or those who hold its outputs after its end, without it. Answered by Done. */
export interface ReleaseMessage {
  readonly type: "Release";
}

/** What the command prints from now on is not written to the log. Sent with Exec, nothing is. */
export interface UnloggedMessage {
  readonly type: "Unlogged";
}

/** Starts a command that nobody holds. input: its whole standard input; none: that stays open. Answered by JobStarted when it is on the disk, or ExecFailed. */
export interface StartJobMessage {
  readonly type: "StartJob";
  readonly argv: readonly string[];
  readonly env: readonly string[];
  readonly cwd: string;
  readonly user: string;
  readonly tty: boolean;
  readonly rows: number;
  readonly cols: number;
  readonly stdin: StdinMode;
  readonly rlimits: readonly ResourceLimit[];
  readonly timeoutMs: number | null;
  readonly input: Uint8Array | null;
}

/** It runs, and goes on whatever becomes of its client. */
export interface JobStartedMessage {
  readonly type: "JobStarted";
  readonly id: string;
  readonly pid: number;
}

/** Asks to be told of a job. The first answer is where it is now, unless only its end is waited for. */
export interface AttachJobMessage {
  readonly type: "AttachJob";
  readonly id: string;
  readonly access: JobAccess;
}

/** exec.log up to the position has the job's output up to `printed`, bytes of all its sources. In the first report of one that runs they are where both were at that moment. code: null while it is not known; signal 0: none. */
export interface JobReportMessage {
  readonly type: "JobReport";
  readonly position: number;
  readonly printed: number;
  readonly state: JobState;
  readonly code: number | null;
  readonly signal: number;
  readonly timedOut: boolean;
}

/** Sends a signal to a job's whole process group, or, as 0, ends its standard input. Answered by Done. */
export interface SignalJobMessage {
  readonly type: "SignalJob";
  readonly id: string;
  readonly signal: number;
}

/** Answered by FileMetadata. follow: of what a link leads to. */
export interface FileStatMessage {
  readonly type: "FileStat";
  readonly path: Uint8Array;
  readonly follow: boolean;
}

/** The path of the entry is empty. createdNs: where the file system knows it. */
export interface FileMetadataMessage {
  readonly type: "FileMetadata";
  readonly entry: TreeEntry;
  readonly createdNs: bigint | null;
  readonly links: number;
}

/** Answered by FileOpened, the contents, and FileDone. length null: to the end. */
export interface FileReadMessage {
  readonly type: "FileRead";
  readonly path: Uint8Array;
  readonly offset: number;
  readonly length: number | null;
}

/** What was asked for is there and can be used. size is what it had then, bytes; 0 where that means nothing. */
export interface FileOpenedMessage {
  readonly type: "FileOpened";
  readonly size: number;
}

/** Answered by FileOpened; the contents follow, and End, which is answered by FileDone. Until then the old file is there; where no file can be made beside it, until the first byte comes. mode null: as the old file's, or 0644. */
export interface FileWriteMessage {
  readonly type: "FileWrite";
  readonly path: Uint8Array;
  readonly mode: number | null;
}

/** parents: makes those that are missing too, and one that is there is no error. */
export interface FileMakeDirectoryMessage {
  readonly type: "FileMakeDirectory";
  readonly path: Uint8Array;
  readonly parents: boolean;
  readonly mode: number | null;
}

/** recursive: a directory with all that is in it. Else anything but a directory. */
export interface FileRemoveMessage {
  readonly type: "FileRemove";
  readonly path: Uint8Array;
  readonly recursive: boolean;
}

/** As rename(2). */
export interface FileRenameMessage {
  readonly type: "FileRename";
  readonly from: Uint8Array;
  readonly to: Uint8Array;
}

/** One file with its mode; what was there is replaced as by FileWrite. */
export interface FileCopyMessage {
  readonly type: "FileCopy";
  readonly from: Uint8Array;
  readonly to: Uint8Array;
}

/** As symlink(2). */
export interface FileSymlinkMessage {
  readonly type: "FileSymlink";
  readonly target: Uint8Array;
  readonly path: Uint8Array;
}

/** Answered by FilePath. */
export interface FileReadLinkMessage {
  readonly type: "FileReadLink";
  readonly path: Uint8Array;
}

/** Answered by FilePath. */
export interface FileRealPathMessage {
  readonly type: "FileRealPath";
  readonly path: Uint8Array;
}

/** The answer to FileReadLink and FileRealPath. */
export interface FilePathMessage {
  readonly type: "FilePath";
  readonly path: Uint8Array;
}

/** As chmod(2). */
export interface FileSetModeMessage {
  readonly type: "FileSetMode";
  readonly path: Uint8Array;
  readonly mode: number;
}

/** As chown(2), or lchown(2) without follow. null: as it is. */
export interface FileSetOwnerMessage {
  readonly type: "FileSetOwner";
  readonly path: Uint8Array;
  readonly uid: number | null;
  readonly gid: number | null;
  readonly follow: boolean;
}

/** As utimensat(2). null: as it is. */
export interface FileSetTimesMessage {
  readonly type: "FileSetTimes";
  readonly path: Uint8Array;
  readonly accessedNs: bigint | null;
  readonly modifiedNs: bigint | null;
  readonly follow: boolean;
}

/** As truncate(2). */
export interface FileTruncateMessage {
  readonly type: "FileTruncate";
  readonly path: Uint8Array;
  readonly size: number;
}

/** It was done. */
export interface FileDoneMessage {
  readonly type: "FileDone";
}

/** It could not be done. operation: the step that failed, such as open. errno 0 when no system call failed. */
export interface FileFailedMessage {
  readonly type: "FileFailed";
  readonly path: Uint8Array;
  readonly operation: string;
  readonly errno: number;
  readonly message: string;
}

/** Answered by FileOpened, the records of the tree, and TreeDone. followRoot: what path is, if it is a link. followAll: every link. contents: those of files too; without them a file has no data and no holes. depth: so many levels below the root, null for all. */
export interface TreeSendMessage {
  readonly type: "TreeSend";
  readonly path: Uint8Array;
  readonly followRoot: boolean;
  readonly followAll: boolean;
  readonly contents: boolean;
  readonly depth: number | null;
}

/** Answered by FileOpened; the records of a tree follow, and End, which is answered by TreeDone. What is there already is kept or replaced. keepMode, keepTimes, keepOwner: as the entries say, else as a program of root's would make them. */
export interface TreeReceiveMessage {
  readonly type: "TreeReceive";
  readonly path: Uint8Array;
  readonly keepMode: boolean;
  readonly keepTimes: boolean;
  readonly keepOwner: boolean;
}

/** The tree has travelled but for what is named; of many problems the first ones are. */
export interface TreeDoneMessage {
  readonly type: "TreeDone";
  readonly problemCount: number;
  readonly problems: readonly FileProblem[];
}

/** Answered by FileOpened, by FileChanges for each Next, and by FileDone when what was watched is gone. */
export interface FileWatchMessage {
  readonly type: "FileWatch";
  readonly path: Uint8Array;
}

/** What has happened since the last one, at least one change. */
export interface FileChangesMessage {
  readonly type: "FileChanges";
  readonly changes: readonly FileChange[];
}

/** To the owner: what is mounted at this path of the guest is to be served, as long as the stream lasts. */
export interface ProvideFilesMessage {
  readonly type: "ProvideFiles";
  readonly path: string;
}

/** To the owner, as a sandbox starts: what it gives for the secrets in these variables of the guest. Answered by SecretsGiven. */
export interface GiveSecretsMessage {
  readonly type: "GiveSecrets";
  readonly envVars: readonly string[];
}

/** The answer to GiveSecrets: those that the program has something for. */
export interface SecretsGivenMessage {
  readonly type: "SecretsGiven";
  readonly secrets: readonly GivenSecret[];
}

/** To the owner: the value of a secret that it has a function for, which is about to be sent to a host. Answered by SecretFetched. */
export interface FetchSecretMessage {
  readonly type: "FetchSecret";
  readonly envVar: string;
  readonly host: string;
}

/** The answer to FetchSecret. expiresMs: since 1970; not there: until a host refuses it. */
export interface SecretFetchedMessage {
  readonly type: "SecretFetched";
  readonly value: string;
  readonly expiresMs: number | null;
}

/** To the owner: its function is to look at a request. The body follows as data once HookReads has asked for it. */
export interface LookAtRequestMessage {
  readonly type: "LookAtRequest";
  readonly request: HookedRequestHead;
  readonly hasBody: boolean;
}

/** The same for the response to a request. */
export interface LookAtResponseMessage {
  readonly type: "LookAtResponse";
  readonly request: HookedRequestHead;
  readonly status: number;
  readonly fields: readonly HookedField[];
  readonly hasBody: boolean;
}

/** The function begins to read the body. */
export interface HookReadsMessage {
  readonly type: "HookReads";
}

/** What the function wants; what is not there stays. isAnswer: a request is not sent, and answered with this. length: of a body that is made, where it is known. The body follows as data, and HookDone ends it. */
export interface HookDecidesMessage {
  readonly type: "HookDecides";
  readonly isAnswer: boolean;
  readonly method: string | null;
  readonly url: string | null;
  readonly status: number | null;
  readonly fields: readonly HookedField[] | null;
  readonly body: HookedBody;
  readonly length: number | null;
}

/** The function and its body have ended. */
export interface HookDoneMessage {
  readonly type: "HookDone";
}

/** Comes after the root is mounted and before Boot. mode null: that of the tree's root, 0644 or 0755. target: of a symlink. inPlace: the root is a directory of the host's, whose owners and modes are the host's. keepDirectories: no directory that is there is replaced by anything else. into: the name that a file of the host's gets in a directory that is at the path; empty: it takes its place. */
export interface PatchApplyMessage {
  readonly type: "PatchApply";
  readonly kind: PatchKind;
  readonly path: Uint8Array;
  readonly mode: number | null;
  readonly replace: boolean;
  readonly target: Uint8Array;
  readonly inPlace: boolean;
  readonly keepDirectories: boolean;
  readonly into: Uint8Array;
}

/** Answered by Pong. Does not count as activity. */
export interface PingMessage {
  readonly type: "Ping";
  readonly nonce: number;
}

/** The answer to Ping. */
export interface PongMessage {
  readonly type: "Pong";
  readonly nonce: number;
}

/** The signal to everything, SIGTERM after half of graceMs if it was another one, SIGKILL after graceMs, sync, unmount, power off. Answered by ShuttingDown. */
export interface ShutdownMessage {
  readonly type: "Shutdown";
  readonly graceMs: number;
  readonly signal: number;
}

/** Processes are gone and file systems are flushed; the guest powers off next. */
export interface ShuttingDownMessage {
  readonly type: "ShuttingDown";
}

/** Has everything written that is not on the guest's disks yet. Answered by FileDone. */
export interface FlushDisksMessage {
  readonly type: "FlushDisks";
}

/** Has all processes of the guest stand still, so that it can be copied. Answered by StandsStill; from then on neither side says anything until the supervisor has copied it, and says GoOn. */
export interface HoldStillMessage {
  readonly type: "HoldStill";
}

/** Has the file system of the upper disk written to it, and frozen: whoever writes waits. Answered by DiskFrozen. It is thawed, which is answered by FileDone, when ReleaseDisk says so; when limitMs have passed or somebody in the guest has thawed it sooner, by FileFailed. */
export interface FreezeDiskMessage {
  readonly type: "FreezeDisk";
  readonly limitMs: number;
}

/** The first answer to FreezeDisk. */
export interface DiskFrozenMessage {
  readonly type: "DiskFrozen";
}

/** The answer to HoldStill. */
export interface StandsStillMessage {
  readonly type: "StandsStill";
}

/** Counts as activity. Answered by Touched. */
export interface TouchMessage {
  readonly type: "Touch";
}

/** The number of activities so far. */
export interface TouchedMessage {
  readonly type: "Touched";
  readonly activitySequence: number;
}

/** The owner gives up ownership. Answered by Done. */
export interface DetachMessage {
  readonly type: "Detach";
}

/** Orderly stop; the VM is killed after graceMs. Answered by Done at once; the end is reported by Ended. */
export interface StopMessage {
  readonly type: "Stop";
  readonly graceMs: number;
}

/** Ends the VM at once. Answered by Done. */
export interface KillMessage {
  readonly type: "Kill";
}

/** Refuse new commands, stop when the last one ends. Answered by Done. */
export interface DrainMessage {
  readonly type: "Drain";
}

/** The request was carried out. */
export interface DoneMessage {
  readonly type: "Done";
}

/** Asks for the state, now and whenever it has changed. */
export interface WatchStateMessage {
  readonly type: "WatchState";
}

/** The state as it is now. States that came and went before the client asked for the next one are left out. */
export interface StateChangedMessage {
  readonly type: "StateChanged";
  readonly state: SandboxState;
}

/** The subscriber has used the last item and can take one more. So one that is slow has at most one under way, the newest. */
export interface NextMessage {
  readonly type: "Next";
}

/** Ends the VM of an ephemeral sandbox at once. Answered by Done as soon as nobody finds the sandbox any more and its name is free; what there is of it goes after that. */
export interface DiscardMessage {
  readonly type: "Discard";
}

/** Holds the guest's processors. calls: what becomes of what needs the guest meanwhile. flush: what is not on its disks yet is written first. Answered by Done. */
export interface PauseMessage {
  readonly type: "Pause";
  readonly calls: PausedCalls;
  readonly flush: boolean;
}

/** Lets them go on. Answered by Done. */
export interface ResumeMessage {
  readonly type: "Resume";
}

/** Writes the guest's memory to the disk and ends its machine: the next start goes on with it. Answered by Done; the end is reported by Ended. */
export interface SuspendMessage {
  readonly type: "Suspend";
}

/** Copies the guest, which goes on, into the directory of a sandbox that is being made: its memory as of one that is suspended, and its upper disk. With `flush` its disks have all that was written before. `names` are those of the children, or the snapshot's, for whoever listens to what becomes of the sandbox. Answered by Captured. */
export interface CaptureMessage {
  readonly type: "Capture";
  readonly directory: string;
  readonly flush: boolean;
  readonly purpose: CopyPurpose;
  readonly names: readonly string[];
}

/** How long the guest stood still for it, and how many bytes of its memory were its own. */
export interface CapturedMessage {
  readonly type: "Captured";
  readonly heldMs: number;
  readonly ownBytes: number;
}

/** Has nothing written to the upper disk, so that it can be copied. Answered by DiskHeld when that is so, which may take its turn, and by Done when ReleaseDisk was said and nothing was written in between; else by a Failure. Aborted, the guest goes on. */
export interface HoldDiskMessage {
  readonly type: "HoldDisk";
  readonly flush: GuestFlush;
}

/** The first answer to HoldDisk: from now on nothing is written. */
export interface DiskHeldMessage {
  readonly type: "DiskHeld";
  readonly hold: DiskHold;
}

/** It was copied: the guest may write. */
export interface ReleaseDiskMessage {
  readonly type: "ReleaseDisk";
}

/** Copies the guest, which goes on, into a checkpoint of this name in the sandbox's directory. With `flush` its disks have all that was written before. Answered by Captured. */
export interface MakeCheckpointMessage {
  readonly type: "MakeCheckpoint";
  readonly name: string;
  readonly flush: boolean;
}

/** Ends the machine without the sandbox, which goes on as it was at the checkpoint. Answered by Done when it runs. */
export interface RollBackMessage {
  readonly type: "RollBack";
  readonly checkpoint: string;
}

/** The sandbox has ended and its state is on disk. exitCode/signal are QEMU's. */
export interface EndedMessage {
  readonly type: "Ended";
  readonly state: SandboxState;
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly reason: string;
}

/** Answered by Stats. */
export interface StatsRequestMessage {
  readonly type: "StatsRequest";
}

/** Bytes. Root is the file system that / is on, as statfs reports it. */
export interface StatsMessage {
  readonly type: "Stats";
  readonly memoryTotal: number;
  readonly memoryAvailable: number;
  readonly rootTotal: number;
  readonly rootFree: number;
}

/** Answered by Metrics. */
export interface MetricsRequestMessage {
  readonly type: "MetricsRequest";
}

/** Asks for a sample now, and for others with at least so many ms between two of them. */
export interface WatchMetricsMessage {
  readonly type: "WatchMetrics";
  readonly intervalMs: number;
}

/** One sample. cpuPercentTimes100: 10000 = one full core. Sizes are bytes; totals count from boot. */
export interface MetricsMessage {
  readonly type: "Metrics";
  readonly timestampMs: number;
  readonly cpuPercentTimes100: number;
  readonly vcpuTimeNs: number;
  readonly memoryBytes: number;
  readonly memoryLimitBytes: number;
  readonly memoryAvailableBytes: number | null;
  readonly memoryHostResidentBytes: number | null;
  readonly diskReadBytes: number;
  readonly diskWriteBytes: number;
  readonly netRxBytes: number;
  readonly netTxBytes: number;
  readonly netFlowsOpened: number;
  readonly netFlowsDenied: number;
  readonly netActiveFlows: number;
  readonly dnsQueries: number;
  readonly dnsDenied: number;
  readonly uptimeMs: number;
  readonly upperUsedBytes: number | null;
  readonly upperFreeBytes: number | null;
  readonly upperHostAllocatedBytes: number | null;
  readonly hostDiskFull: boolean;
  readonly copies: number;
  readonly copyPauseMs: number;
}

/** Asks to be told whenever the sandbox's logs have grown. */
export interface WatchLogsMessage {
  readonly type: "WatchLogs";
}

/** There is more in the files of the logs than there was when this was said last. */
export interface LogsChangedMessage {
  readonly type: "LogsChanged";
}

/** Answered by NetworkStatus, with the flows that are open if they are asked for. */
export interface NetworkRequestMessage {
  readonly type: "NetworkRequest";
  readonly flows: boolean;
}

/** `policy` is JSON, a policy in its stored form. Of the open flows the newest 1,000 are here; the counters say how many there are. */
export interface NetworkStatusMessage {
  readonly type: "NetworkStatus";
  readonly ports: readonly BoundPort[];
  readonly counters: NetworkCounters;
  readonly policy: string;
  readonly observe: boolean;
  readonly maxConnections: number;
  readonly flows: readonly ActiveFlow[];
}

/** Changes the network: all of it, or nothing. `change` is JSON: what is left out stays as it is. Answered by NetworkStatus once no flow is left that is not allowed any more. With `persist` the sandbox's later runs begin with it. */
export interface UpdateNetworkMessage {
  readonly type: "UpdateNetwork";
  readonly change: string;
  readonly persist: boolean;
}

/** Opens a TCP connection to a port of the guest. */
export interface ConnectGuestMessage {
  readonly type: "ConnectGuest";
  readonly port: number;
}

/** The guest has accepted the connection: data may be sent. */
export interface GuestConnectedMessage {
  readonly type: "GuestConnected";
}

/** Both directions of the connection have ended in order, and all data was delivered. */
export interface GuestDisconnectedMessage {
  readonly type: "GuestDisconnected";
}

/** Asks for what comes to pass on the network from now on. */
export interface WatchNetworkMessage {
  readonly type: "WatchNetwork";
}

/** Lines of network.log, in order. All that came before `from` when this was asked for first is in the files. `lost` lines before these were dropped, because the subscriber did not ask for so long. */
export interface NetworkEventsMessage {
  readonly type: "NetworkEvents";
  readonly from: number;
  readonly lost: number;
  readonly lines: readonly string[];
}

/** Changes the sandbox's secrets: all of it, or nothing. `change` is JSON, with values. `live`: for connections that are made from now on, too, and not only for later runs. Answered by Done. */
export interface ModifySecretsMessage {
  readonly type: "ModifySecrets";
  readonly change: string;
  readonly live: boolean;
}

/** The guest is a sandbox and tells what happens in it. */
export interface EventsMessage {
  readonly type: "Events";
}

/** The guest's kernel has killed processes because memory ran out: so many since it booted (oom_kill of /proc/vmstat). */
export interface OutOfMemoryMessage {
  readonly type: "OutOfMemory";
  readonly kills: number;
}

/** Somebody inside has asked for the guest's end (poweroff, halt, reboot). */
export interface PowerOffMessage {
  readonly type: "PowerOff";
}

/** Somebody listens to the events that programs of the guest tell at /run/agent.sock. They come as records (`src/protocol/event-records.ts`) until it is aborted. There is one such stream at most. */
export interface ListenInsideMessage {
  readonly type: "ListenInside";
}

/** An event for the programs of the guest that listen for its name. `data` is JSON on one line; empty: it has none. Answered by ToldInside. */
export interface TellInsideMessage {
  readonly type: "TellInside";
  readonly name: string;
  readonly timeMs: number;
  readonly data: Uint8Array;
}

/** How many programs listen for it, and how many of these have left so much unread that they miss it. */
export interface ToldInsideMessage {
  readonly type: "ToldInside";
  readonly listeners: number;
  readonly missed: number;
}

/** Asks for the sandbox's events from now on, as records (`src/protocol/event-records.ts`). Names that end with * stand for all that begin so; without any it is asked for all. Answered by EventsBegin. */
export interface WatchEventsMessage {
  readonly type: "WatchEvents";
  readonly names: readonly string[];
}

/** What comes to pass from now on is told, and the guest has been asked before whatever it is asked next. */
export interface EventsBeginMessage {
  readonly type: "EventsBegin";
}

/** Makes the template that sandboxes of this configuration, as config.json stores it, start from. Answered by Warmed. */
export interface WarmMessage {
  readonly type: "Warm";
  readonly config: string;
}

/** There is a template: it was there already, or was made. */
export interface WarmedMessage {
  readonly type: "Warmed";
  readonly outcome: WarmOutcome;
}

/** Looks at everything on this host that a sandbox needs. Answered by Diagnosis. */
export interface DiagnoseMessage {
  readonly type: "Diagnose";
}

/** What was found, in the order in which it was looked at. */
export interface DiagnosisMessage {
  readonly type: "Diagnosis";
  readonly findings: readonly Finding[];
}

export type Message =
  | EndMessage
  | StopSendingMessage
  | CreditMessage
  | FailureMessage
  | AgentHelloMessage
  | SeedMessage
  | ClockMessage
  | MountMessage
  | MountedMessage
  | BootMessage
  | ReadyMessage
  | GoOnMessage
  | BecomeCopyMessage
  | BootFailedMessage
  | ClientHelloMessage
  | SupervisorHelloMessage
  | StartProgressMessage
  | NoticeMessage
  | StartedMessage
  | ExecMessage
  | ExecStartedMessage
  | ExecFailedMessage
  | ExecExitedMessage
  | OutputsEndedMessage
  | SignalMessage
  | ResizeMessage
  | ReleaseMessage
  | UnloggedMessage
  | StartJobMessage
  | JobStartedMessage
  | AttachJobMessage
  | JobReportMessage
  | SignalJobMessage
  | FileStatMessage
  | FileMetadataMessage
  | FileReadMessage
  | FileOpenedMessage
  | FileWriteMessage
  | FileMakeDirectoryMessage
  | FileRemoveMessage
  | FileRenameMessage
  | FileCopyMessage
  | FileSymlinkMessage
  | FileReadLinkMessage
  | FileRealPathMessage
  | FilePathMessage
  | FileSetModeMessage
  | FileSetOwnerMessage
  | FileSetTimesMessage
  | FileTruncateMessage
  | FileDoneMessage
  | FileFailedMessage
  | TreeSendMessage
  | TreeReceiveMessage
  | TreeDoneMessage
  | FileWatchMessage
  | FileChangesMessage
  | ProvideFilesMessage
  | GiveSecretsMessage
  | SecretsGivenMessage
  | FetchSecretMessage
  | SecretFetchedMessage
  | LookAtRequestMessage
  | LookAtResponseMessage
  | HookReadsMessage
  | HookDecidesMessage
  | HookDoneMessage
  | PatchApplyMessage
  | PingMessage
  | PongMessage
  | ShutdownMessage
  | ShuttingDownMessage
  | FlushDisksMessage
  | HoldStillMessage
  | FreezeDiskMessage
  | DiskFrozenMessage
  | StandsStillMessage
  | TouchMessage
  | TouchedMessage
  | DetachMessage
  | StopMessage
  | KillMessage
  | DrainMessage
  | DoneMessage
  | WatchStateMessage
  | StateChangedMessage
  | NextMessage
  | DiscardMessage
  | PauseMessage
  | ResumeMessage
  | SuspendMessage
  | CaptureMessage
  | CapturedMessage
  | HoldDiskMessage
  | DiskHeldMessage
  | ReleaseDiskMessage
  | MakeCheckpointMessage
  | RollBackMessage
  | EndedMessage
  | StatsRequestMessage
  | StatsMessage
  | MetricsRequestMessage
  | WatchMetricsMessage
  | MetricsMessage
  | WatchLogsMessage
  | LogsChangedMessage
  | NetworkRequestMessage
  | NetworkStatusMessage
  | UpdateNetworkMessage
  | ConnectGuestMessage
  | GuestConnectedMessage
  | GuestDisconnectedMessage
  | WatchNetworkMessage
  | NetworkEventsMessage
  | ModifySecretsMessage
  | EventsMessage
  | OutOfMemoryMessage
  | PowerOffMessage
  | ListenInsideMessage
  | TellInsideMessage
  | ToldInsideMessage
  | WatchEventsMessage
  | EventsBeginMessage
  | WarmMessage
  | WarmedMessage
  | DiagnoseMessage
  | DiagnosisMessage;

/** Which messages may travel on which route. */
export interface MessageOn {
  readonly "client→supervisor":
    | EndMessage
    | StopSendingMessage
    | CreditMessage
    | FailureMessage
    | ClientHelloMessage
    | ExecMessage
    | SignalMessage
    | ResizeMessage
    | ReleaseMessage
    | UnloggedMessage
    | StartJobMessage
    | AttachJobMessage
    | SignalJobMessage
    | FileStatMessage
    | FileReadMessage
    | FileWriteMessage
    | FileMakeDirectoryMessage
    | FileRemoveMessage
    | FileRenameMessage
    | FileCopyMessage
    | FileSymlinkMessage
    | FileReadLinkMessage
    | FileRealPathMessage
    | FileSetModeMessage
    | FileSetOwnerMessage
    | FileSetTimesMessage
    | FileTruncateMessage
    | TreeSendMessage
    | TreeReceiveMessage
    | FileWatchMessage
    | SecretsGivenMessage
    | SecretFetchedMessage
    | HookReadsMessage
    | HookDecidesMessage
    | HookDoneMessage
    | PingMessage
    | TouchMessage
    | DetachMessage
    | StopMessage
    | KillMessage
    | DrainMessage
    | WatchStateMessage
    | NextMessage
    | DiscardMessage
    | PauseMessage
    | ResumeMessage
    | SuspendMessage
    | CaptureMessage
    | HoldDiskMessage
    | ReleaseDiskMessage
    | MakeCheckpointMessage
    | RollBackMessage
    | MetricsRequestMessage
    | WatchMetricsMessage
    | WatchLogsMessage
    | NetworkRequestMessage
    | UpdateNetworkMessage
    | ConnectGuestMessage
    | WatchNetworkMessage
    | ModifySecretsMessage
    | TellInsideMessage
    | WatchEventsMessage
    | WarmMessage
    | DiagnoseMessage;
  readonly "supervisor→agent":
    | EndMessage
    | StopSendingMessage
    | CreditMessage
    | FailureMessage
    | SeedMessage
    | ClockMessage
    | MountMessage
    | BootMessage
    | GoOnMessage
    | BecomeCopyMessage
    | ExecMessage
    | SignalMessage
    | ResizeMessage
    | FileStatMessage
    | FileReadMessage
    | FileWriteMessage
    | FileMakeDirectoryMessage
    | FileRemoveMessage
    | FileRenameMessage
    | FileCopyMessage
    | FileSymlinkMessage
    | FileReadLinkMessage
    | FileRealPathMessage
    | FileSetModeMessage
    | FileSetOwnerMessage
    | FileSetTimesMessage
    | FileTruncateMessage
    | TreeSendMessage
    | TreeReceiveMessage
    | FileWatchMessage
    | PatchApplyMessage
    | PingMessage
    | ShutdownMessage
    | FlushDisksMessage
    | HoldStillMessage
    | FreezeDiskMessage
    | NextMessage
    | ReleaseDiskMessage
    | StatsRequestMessage
    | ListenInsideMessage
    | TellInsideMessage;
  readonly "agent→supervisor":
    | EndMessage
    | StopSendingMessage
    | CreditMessage
    | FailureMessage
    | AgentHelloMessage
    | MountedMessage
    | ReadyMessage
    | BootFailedMessage
    | ExecStartedMessage
    | ExecFailedMessage
    | ExecExitedMessage
    | OutputsEndedMessage
    | FileMetadataMessage
    | FileOpenedMessage
    | FilePathMessage
    | FileDoneMessage
    | FileFailedMessage
    | TreeDoneMessage
    | FileChangesMessage
    | PongMessage
    | ShuttingDownMessage
    | DiskFrozenMessage
    | StandsStillMessage
    | StatsMessage
    | EventsMessage
    | OutOfMemoryMessage
    | PowerOffMessage
    | ToldInsideMessage;
  readonly "supervisor→client":
    | EndMessage
    | StopSendingMessage
    | CreditMessage
    | FailureMessage
    | SupervisorHelloMessage
    | StartProgressMessage
    | NoticeMessage
    | StartedMessage
    | ExecStartedMessage
    | ExecFailedMessage
    | ExecExitedMessage
    | OutputsEndedMessage
    | JobStartedMessage
    | JobReportMessage
    | FileMetadataMessage
    | FileOpenedMessage
    | FilePathMessage
    | FileDoneMessage
    | FileFailedMessage
    | TreeDoneMessage
    | FileChangesMessage
    | ProvideFilesMessage
    | GiveSecretsMessage
    | FetchSecretMessage
    | LookAtRequestMessage
    | LookAtResponseMessage
    | PongMessage
    | TouchedMessage
    | DoneMessage
    | StateChangedMessage
    | CapturedMessage
    | DiskHeldMessage
    | EndedMessage
    | MetricsMessage
    | LogsChangedMessage
    | NetworkStatusMessage
    | GuestConnectedMessage
    | GuestDisconnectedMessage
    | NetworkEventsMessage
    | ToldInsideMessage
    | EventsBeginMessage
    | WarmedMessage
    | DiagnosisMessage;
}

/**
 * Encodes one control message: its tag, then its fields.
 *
 * @returns The payload of a control frame.
 * @throws ProtocolError when a value does not fit its field. Nothing was sent then.
 */
export function encodeMessage(message: Message): Buffer {
  const writer = new WireWriter(message.type);
  switch (message.type) {
    case "End":
      writer.u8(14);
      break;
    case "StopSending":
      writer.u8(15);
      break;
    case "Credit":
      writer.u8(18);
      writer.u32(message.bytes);
      break;
    case "Failure":
      writer.u8(61);
      writer.str(message.code);
      writer.str(message.message);
      writer.str(message.hint);
      writer.str(message.details);
      break;
    case "AgentHello":
      writer.u8(1);
      writer.u32(message.protocolVersion);
      writer.str(message.agentVersion);
      writer.str(message.kernelRelease);
      break;
    case "Seed":
      writer.u8(7);
      writer.u32(message.protocolVersion);
      writer.bytes(message.entropy);
      break;
    case "Clock":
      writer.u8(8);
      writer.u53(message.seconds);
      writer.u32(message.nanoseconds);
      break;
    case "Mount":
      writer.u8(9);
      writeRoot(writer, message.root);
      writer.u32(message.tmpSizeMib);
      writer.list(message.programs, (item) => writer.str(item));
      writer.optional(message.network, (item) => writeGuestNetwork(writer, item));
      writer.optional(message.trust, (item) => writeGuestTrust(writer, item));
      break;
    case "Mounted":
      writer.u8(20);
      break;
    case "Boot":
      writer.u8(2);
      writer.str(message.hostname);
      writer.str(message.workdir);
      writer.list(message.mounts, (item) => writeGuestMount(writer, item));
      writer.list(message.scripts, (item) => writeScript(writer, item));
      writer.optional(message.network, (item) => writeGuestNetwork(writer, item));
      writer.optional(message.trust, (item) => writeGuestTrust(writer, item));
      break;
    case "Ready":
      writer.u8(3);
      break;
    case "GoOn":
      writer.u8(41);
      writer.bool(message.elsewhere);
      break;
    case "BecomeCopy":
      writer.u8(42);
      writer.str(message.hostname);
      writer.str(message.name);
      writer.str(message.source);
      writer.u8(message.signal);
      writer.bool(message.goesOn);
      break;
    case "BootFailed":
      writer.u8(4);
      writer.str(message.step);
      writer.i32(message.errno);
      writer.str(message.message);
      break;
    case "ClientHello":
      writer.u8(5);
      writer.u32(message.protocolVersion);
      writer.str(message.sandboxId);
      break;
    case "SupervisorHello":
      writer.u8(6);
      writer.u32(message.protocolVersion);
      writer.str(message.sandboxId);
      writer.str(message.name);
      writer.choice(sandboxStates, message.state);
      break;
    case "StartProgress":
      writer.u8(70);
      writer.str(message.stage);
      writer.u32(message.elapsedMs);
      break;
    case "Notice":
      writer.u8(71);
      writer.str(message.message);
      break;
    case "Started":
      writer.u8(72);
      writer.str(message.accelerator);
      writer.choice(startRoutes, message.route);
      writer.str(message.reason);
      writer.u32(message.elapsedMs);
      break;
    case "Exec":
      writer.u8(10);
      writer.list(message.argv, (item) => writer.str(item));
      writer.list(message.env, (item) => writer.str(item));
      writer.str(message.cwd);
      writer.str(message.user);
      writer.bool(message.tty);
      writer.u16(message.rows);
      writer.u16(message.cols);
      writer.choice(stdinModes, message.stdin);
      writer.list(message.rlimits, (item) => writeResourceLimit(writer, item));
      break;
    case "ExecStarted":
      writer.u8(11);
      writer.u32(message.pid);
      writer.u32(message.sessionId);
      break;
    case "ExecFailed":
      writer.u8(12);
      writer.choice(spawnStages, message.stage);
      writer.i32(message.errno);
      writer.str(message.message);
      break;
    case "ExecExited":
      writer.u8(13);
      writer.i32(message.code);
      writer.u8(message.signal);
      break;
    case "OutputsEnded":
      writer.u8(21);
      break;
    case "Signal":
      writer.u8(16);
      writer.u8(message.signal);
      break;
    case "Resize":
      writer.u8(17);
      writer.u16(message.rows);
      writer.u16(message.cols);
      break;
    case "Release":
      writer.u8(19);
      break;
    case "Unlogged":
      writer.u8(22);
      break;
    case "StartJob":
      writer.u8(79);
      writer.list(message.argv, (item) => writer.str(item));
      writer.list(message.env, (item) => writer.str(item));
      writer.str(message.cwd);
      writer.str(message.user);
      writer.bool(message.tty);
      writer.u16(message.rows);
      writer.u16(message.cols);
      writer.choice(stdinModes, message.stdin);
      writer.list(message.rlimits, (item) => writeResourceLimit(writer, item));
      writer.optional(message.timeoutMs, (item) => writer.u53(item));
      writer.optional(message.input, (item) => writer.bytes(item));
      break;
    case "JobStarted":
      writer.u8(84);
      writer.str(message.id);
      writer.u32(message.pid);
      break;
    case "AttachJob":
      writer.u8(85);
      writer.str(message.id);
      writer.choice(jobAccesss, message.access);
      break;
    case "JobReport":
      writer.u8(88);
      writer.u53(message.position);
      writer.u53(message.printed);
      writer.choice(jobStates, message.state);
      writer.optional(message.code, (item) => writer.i32(item));
      writer.u8(message.signal);
      writer.bool(message.timedOut);
      break;
    case "SignalJob":
      writer.u8(89);
      writer.str(message.id);
      writer.u8(message.signal);
      break;
    case "FileStat":
      writer.u8(90);
      writer.bytes(message.path);
      writer.bool(message.follow);
      break;
    case "FileMetadata":
      writer.u8(91);
      writeTreeEntry(writer, message.entry);
      writer.optional(message.createdNs, (item) => writer.i64(item));
      writer.u53(message.links);
      break;
    case "FileRead":
      writer.u8(92);
      writer.bytes(message.path);
      writer.u53(message.offset);
      writer.optional(message.length, (item) => writer.u53(item));
      break;
    case "FileOpened":
      writer.u8(93);
      writer.u53(message.size);
      break;
    case "FileWrite":
      writer.u8(94);
      writer.bytes(message.path);
      writer.optional(message.mode, (item) => writer.u16(item));
      break;
    case "FileMakeDirectory":
      writer.u8(95);
      writer.bytes(message.path);
      writer.bool(message.parents);
      writer.optional(message.mode, (item) => writer.u16(item));
      break;
    case "FileRemove":
      writer.u8(96);
      writer.bytes(message.path);
      writer.bool(message.recursive);
      break;
    case "FileRename":
      writer.u8(97);
      writer.bytes(message.from);
      writer.bytes(message.to);
      break;
    case "FileCopy":
      writer.u8(98);
      writer.bytes(message.from);
      writer.bytes(message.to);
      break;
    case "FileSymlink":
      writer.u8(99);
      writer.bytes(message.target);
      writer.bytes(message.path);
      break;
    case "FileReadLink":
      writer.u8(100);
      writer.bytes(message.path);
      break;
    case "FileRealPath":
      writer.u8(101);
      writer.bytes(message.path);
      break;
    case "FilePath":
      writer.u8(102);
      writer.bytes(message.path);
      break;
    case "FileSetMode":
      writer.u8(103);
      writer.bytes(message.path);
      writer.u16(message.mode);
      break;
    case "FileSetOwner":
      writer.u8(104);
      writer.bytes(message.path);
      writer.optional(message.uid, (item) => writer.u32(item));
      writer.optional(message.gid, (item) => writer.u32(item));
      writer.bool(message.follow);
      break;
    case "FileSetTimes":
      writer.u8(105);
      writer.bytes(message.path);
      writer.optional(message.accessedNs, (item) => writer.i64(item));
      writer.optional(message.modifiedNs, (item) => writer.i64(item));
      writer.bool(message.follow);
      break;
    case "FileTruncate":
      writer.u8(106);
      writer.bytes(message.path);
      writer.u53(message.size);
      break;
    case "FileDone":
      writer.u8(107);
      break;
    case "FileFailed":
      writer.u8(108);
      writer.bytes(message.path);
      writer.str(message.operation);
      writer.i32(message.errno);
      writer.str(message.message);
      break;
    case "TreeSend":
      writer.u8(109);
      writer.bytes(message.path);
      writer.bool(message.followRoot);
      writer.bool(message.followAll);
      writer.bool(message.contents);
      writer.optional(message.depth, (item) => writer.u32(item));
      break;
    case "TreeReceive":
      writer.u8(110);
      writer.bytes(message.path);
      writer.bool(message.keepMode);
      writer.bool(message.keepTimes);
      writer.bool(message.keepOwner);
      break;
    case "TreeDone":
      writer.u8(111);
      writer.u53(message.problemCount);
      writer.list(message.problems, (item) => writeFileProblem(writer, item));
      break;
    case "FileWatch":
      writer.u8(112);
      writer.bytes(message.path);
      break;
    case "FileChanges":
      writer.u8(113);
      writer.list(message.changes, (item) => writeFileChange(writer, item));
      break;
    case "ProvideFiles":
      writer.u8(140);
      writer.str(message.path);
      break;
    case "GiveSecrets":
      writer.u8(160);
      writer.list(message.envVars, (item) => writer.str(item));
      break;
    case "SecretsGiven":
      writer.u8(161);
      writer.list(message.secrets, (item) => writeGivenSecret(writer, item));
      break;
    case "FetchSecret":
      writer.u8(162);
      writer.str(message.envVar);
      writer.str(message.host);
      break;
    case "SecretFetched":
      writer.u8(163);
      writer.str(message.value);
      writer.optional(message.expiresMs, (item) => writer.u53(item));
      break;
    case "LookAtRequest":
      writer.u8(164);
      writeHookedRequestHead(writer, message.request);
      writer.bool(message.hasBody);
      break;
    case "LookAtResponse":
      writer.u8(165);
      writeHookedRequestHead(writer, message.request);
      writer.u16(message.status);
      writer.list(message.fields, (item) => writeHookedField(writer, item));
      writer.bool(message.hasBody);
      break;
    case "HookReads":
      writer.u8(166);
      break;
    case "HookDecides":
      writer.u8(167);
      writer.bool(message.isAnswer);
      writer.optional(message.method, (item) => writer.str(item));
      writer.optional(message.url, (item) => writer.str(item));
      writer.optional(message.status, (item) => writer.u16(item));
      writer.optional(message.fields, (item) => writer.list(item, (item) => writeHookedField(writer, item)));
      writer.choice(hookedBodys, message.body);
      writer.optional(message.length, (item) => writer.u53(item));
      break;
    case "HookDone":
      writer.u8(168);
      break;
    case "PatchApply":
      writer.u8(130);
      writer.choice(patchKinds, message.kind);
      writer.bytes(message.path);
      writer.optional(message.mode, (item) => writer.u16(item));
      writer.bool(message.replace);
      writer.bytes(message.target);
      writer.bool(message.inPlace);
      writer.bool(message.keepDirectories);
      writer.bytes(message.into);
      break;
    case "Ping":
      writer.u8(30);
      writer.u32(message.nonce);
      break;
    case "Pong":
      writer.u8(31);
      writer.u32(message.nonce);
      break;
    case "Shutdown":
      writer.u8(34);
      writer.u32(message.graceMs);
      writer.u8(message.signal);
      break;
    case "ShuttingDown":
      writer.u8(35);
      break;
    case "FlushDisks":
      writer.u8(39);
      break;
    case "HoldStill":
      writer.u8(43);
      break;
    case "FreezeDisk":
      writer.u8(45);
      writer.u32(message.limitMs);
      break;
    case "DiskFrozen":
      writer.u8(46);
      break;
    case "StandsStill":
      writer.u8(44);
      break;
    case "Touch":
      writer.u8(50);
      break;
    case "Touched":
      writer.u8(51);
      writer.u53(message.activitySequence);
      break;
    case "Detach":
      writer.u8(52);
      break;
    case "Stop":
      writer.u8(53);
      writer.u32(message.graceMs);
      break;
    case "Kill":
      writer.u8(54);
      break;
    case "Drain":
      writer.u8(55);
      break;
    case "Done":
      writer.u8(60);
      break;
    case "WatchState":
      writer.u8(62);
      break;
    case "StateChanged":
      writer.u8(63);
      writer.choice(sandboxStates, message.state);
      break;
    case "Next":
      writer.u8(64);
      break;
    case "Discard":
      writer.u8(56);
      break;
    case "Pause":
      writer.u8(68);
      writer.choice(pausedCallss, message.calls);
      writer.bool(message.flush);
      break;
    case "Resume":
      writer.u8(69);
      break;
    case "Suspend":
      writer.u8(73);
      break;
    case "Capture":
      writer.u8(74);
      writer.str(message.directory);
      writer.bool(message.flush);
      writer.choice(copyPurposes, message.purpose);
      writer.list(message.names, (item) => writer.str(item));
      break;
    case "Captured":
      writer.u8(75);
      writer.u32(message.heldMs);
      writer.u53(message.ownBytes);
      break;
    case "HoldDisk":
      writer.u8(76);
      writer.choice(guestFlushs, message.flush);
      break;
    case "DiskHeld":
      writer.u8(77);
      writer.choice(diskHolds, message.hold);
      break;
    case "ReleaseDisk":
      writer.u8(78);
      break;
    case "MakeCheckpoint":
      writer.u8(86);
      writer.str(message.name);
      writer.bool(message.flush);
      break;
    case "RollBack":
      writer.u8(87);
      writer.str(message.checkpoint);
      break;
    case "Ended":
      writer.u8(57);
      writer.choice(sandboxStates, message.state);
      writer.optional(message.exitCode, (item) => writer.i32(item));
      writer.optional(message.signal, (item) => writer.str(item));
      writer.str(message.reason);
      break;
    case "StatsRequest":
      writer.u8(32);
      break;
    case "Stats":
      writer.u8(33);
      writer.u53(message.memoryTotal);
      writer.u53(message.memoryAvailable);
      writer.u53(message.rootTotal);
      writer.u53(message.rootFree);
      break;
    case "MetricsRequest":
      writer.u8(58);
      break;
    case "WatchMetrics":
      writer.u8(65);
      writer.u32(message.intervalMs);
      break;
    case "Metrics":
      writer.u8(59);
      writer.u53(message.timestampMs);
      writer.u32(message.cpuPercentTimes100);
      writer.u53(message.vcpuTimeNs);
      writer.u53(message.memoryBytes);
      writer.u53(message.memoryLimitBytes);
      writer.optional(message.memoryAvailableBytes, (item) => writer.u53(item));
      writer.optional(message.memoryHostResidentBytes, (item) => writer.u53(item));
      writer.u53(message.diskReadBytes);
      writer.u53(message.diskWriteBytes);
      writer.u53(message.netRxBytes);
      writer.u53(message.netTxBytes);
      writer.u53(message.netFlowsOpened);
      writer.u53(message.netFlowsDenied);
      writer.u53(message.netActiveFlows);
      writer.u53(message.dnsQueries);
      writer.u53(message.dnsDenied);
      writer.u53(message.uptimeMs);
      writer.optional(message.upperUsedBytes, (item) => writer.u53(item));
      writer.optional(message.upperFreeBytes, (item) => writer.u53(item));
      writer.optional(message.upperHostAllocatedBytes, (item) => writer.u53(item));
      writer.bool(message.hostDiskFull);
      writer.u53(message.copies);
      writer.u53(message.copyPauseMs);
      break;
    case "WatchLogs":
      writer.u8(66);
      break;
    case "LogsChanged":
      writer.u8(67);
      break;
    case "NetworkRequest":
      writer.u8(150);
      writer.bool(message.flows);
      break;
    case "NetworkStatus":
      writer.u8(151);
      writer.list(message.ports, (item) => writeBoundPort(writer, item));
      writeNetworkCounters(writer, message.counters);
      writer.str(message.policy);
      writer.bool(message.observe);
      writer.u32(message.maxConnections);
      writer.list(message.flows, (item) => writeActiveFlow(writer, item));
      break;
    case "UpdateNetwork":
      writer.u8(152);
      writer.str(message.change);
      writer.bool(message.persist);
      break;
    case "ConnectGuest":
      writer.u8(153);
      writer.u16(message.port);
      break;
    case "GuestConnected":
      writer.u8(154);
      break;
    case "GuestDisconnected":
      writer.u8(155);
      break;
    case "WatchNetwork":
      writer.u8(156);
      break;
    case "NetworkEvents":
      writer.u8(157);
      writer.u53(message.from);
      writer.u53(message.lost);
      writer.list(message.lines, (item) => writer.str(item));
      break;
    case "ModifySecrets":
      writer.u8(158);
      writer.str(message.change);
      writer.bool(message.live);
      break;
    case "Events":
      writer.u8(36);
      break;
    case "OutOfMemory":
      writer.u8(37);
      writer.u53(message.kills);
      break;
    case "PowerOff":
      writer.u8(38);
      break;
    case "ListenInside":
      writer.u8(47);
      break;
    case "TellInside":
      writer.u8(48);
      writer.str(message.name);
      writer.u53(message.timeMs);
      writer.bytes(message.data);
      break;
    case "ToldInside":
      writer.u8(49);
      writer.u32(message.listeners);
      writer.u32(message.missed);
      break;
    case "WatchEvents":
      writer.u8(170);
      writer.list(message.names, (item) => writer.str(item));
      break;
    case "EventsBegin":
      writer.u8(171);
      break;
    case "Warm":
      writer.u8(80);
      writer.str(message.config);
      break;
    case "Warmed":
      writer.u8(81);
      writer.choice(warmOutcomes, message.outcome);
      break;
    case "Diagnose":
      writer.u8(82);
      break;
    case "Diagnosis":
      writer.u8(83);
      writer.list(message.findings, (item) => writeFinding(writer, item));
      break;
  }
  return writer.finish();
}

/**
 * Decodes the payload of a control frame. Fields of type `bytes` are views of `bytes`, not copies.
 *
 * @param route - Where the frame came from and who reads it.
 * @throws ProtocolError for an unknown tag, a message that may not travel on this route, bytes missing or left over, and a
 *   value that its field does not allow.
 */
export function decodeMessage<R extends Route>(bytes: Uint8Array, route: R): MessageOn[R] {
  const reader = new WireReader(bytes);
  const tag = reader.u8();
  const entry = entries.get(tag);
  if (entry === undefined || !entry.routes.includes(route)) {
    throw violation(`unexpected message tag: ${tag} (${entry?.type ?? "of no message"}) on ${route}`);
  }
  reader.message = entry.type;
  const message = entry.read(reader);
  reader.end();
  return message as MessageOn[R];
}

interface Entry {
  readonly type: Message["type"];
  readonly routes: readonly Route[];
  readonly read: (reader: WireReader) => Message;
}

/** By tag. */
const entries: ReadonlyMap<number, Entry> = new Map<number, Entry>([
  [
    14,
    {
      type: "End",
      routes: ["client→supervisor", "supervisor→agent", "agent→supervisor", "supervisor→client"],
      read: () => ({
        type: "End",
      }),
    },
  ],
  [
    15,
    {
      type: "StopSending",
      routes: ["client→supervisor", "supervisor→agent", "agent→supervisor", "supervisor→client"],
      read: () => ({
        type: "StopSending",
      }),
    },
  ],
  [
    18,
    {
      type: "Credit",
      routes: ["client→supervisor", "supervisor→agent", "agent→supervisor", "supervisor→client"],
      read: (reader) => ({
        type: "Credit",
        bytes: reader.u32(),
      }),
    },
  ],
  [
    61,
    {
      type: "Failure",
      routes: ["client→supervisor", "supervisor→agent", "agent→supervisor", "supervisor→client"],
      read: (reader) => ({
        type: "Failure",
        code: reader.str(),
        message: reader.str(),
        hint: reader.str(),
        details: reader.str(),
      }),
    },
  ],
  [
    1,
    {
      type: "AgentHello",
      routes: ["agent→supervisor"],
      read: (reader) => ({
        type: "AgentHello",
        protocolVersion: reader.u32(),
        agentVersion: reader.str(),
        kernelRelease: reader.str(),
      }),
    },
  ],
  [
    7,
    {
      type: "Seed",
      routes: ["supervisor→agent"],
      read: (reader) => ({
        type: "Seed",
        protocolVersion: reader.u32(),
        entropy: reader.bytes(),
      }),
    },
  ],
  [
    8,
    {
      type: "Clock",
      routes: ["supervisor→agent"],
      read: (reader) => ({
        type: "Clock",
        seconds: reader.u53(),
        nanoseconds: reader.u32(),
      }),
    },
  ],
  [
    9,
    {
      type: "Mount",
      routes: ["supervisor→agent"],
      read: (reader) => ({
        type: "Mount",
        root: readRoot(reader),
        tmpSizeMib: reader.u32(),
        programs: reader.list(4, () => reader.str()),
        network: reader.optional(() => readGuestNetwork(reader)),
        trust: reader.optional(() => readGuestTrust(reader)),
      }),
    },
  ],
  [
    20,
    {
      type: "Mounted",
      routes: ["agent→supervisor"],
      read: () => ({
        type: "Mounted",
      }),
    },
  ],
  [
    2,
    {
      type: "Boot",
      routes: ["supervisor→agent"],
      read: (reader) => ({
        type: "Boot",
        hostname: reader.str(),
        workdir: reader.str(),
        mounts: reader.list(11, () => readGuestMount(reader)),
        scripts: reader.list(8, () => readScript(reader)),
        network: reader.optional(() => readGuestNetwork(reader)),
        trust: reader.optional(() => readGuestTrust(reader)),
      }),
    },
  ],
  [
    3,
    {
      type: "Ready",
      routes: ["agent→supervisor"],
      read: () => ({
        type: "Ready",
      }),
    },
  ],
  [
    41,
    {
      type: "GoOn",
      routes: ["supervisor→agent"],
      read: (reader) => ({
        type: "GoOn",
        elsewhere: reader.bool(),
      }),
    },
  ],
  [
    42,
    {
      type: "BecomeCopy",
      routes: ["supervisor→agent"],
      read: (reader) => ({
        type: "BecomeCopy",
        hostname: reader.str(),
        name: reader.str(),
        source: reader.str(),
        signal: reader.u8(),
        goesOn: reader.bool(),
      }),
    },
  ],
  [
    4,
    {
      type: "BootFailed",
      routes: ["agent→supervisor"],
      read: (reader) => ({
        type: "BootFailed",
        step: reader.str(),
        errno: reader.i32(),
        message: reader.str(),
      }),
    },
  ],
  [
    5,
    {
      type: "ClientHello",
      routes: ["client→supervisor"],
      read: (reader) => ({
        type: "ClientHello",
        protocolVersion: reader.u32(),
        sandboxId: reader.str(),
      }),
    },
  ],
  [
    6,
    {
      type: "SupervisorHello",
      routes: ["supervisor→client"],
      read: (reader) => ({
        type: "SupervisorHello",
        protocolVersion: reader.u32(),
        sandboxId: reader.str(),
        name: reader.str(),
        state: reader.choice(sandboxStates),
      }),
    },
  ],
  [
    70,
    {
      type: "StartProgress",
      routes: ["supervisor→client"],
      read: (reader) => ({
        type: "StartProgress",
        stage: reader.str(),
        elapsedMs: reader.u32(),
      }),
    },
  ],
  [
    71,
    {
      type: "Notice",
      routes: ["supervisor→client"],
      read: (reader) => ({
        type: "Notice",
        message: reader.str(),
      }),
    },
  ],
  [
    72,
    {
      type: "Started",
      routes: ["supervisor→client"],
      read: (reader) => ({
        type: "Started",
        accelerator: reader.str(),
        route: reader.choice(startRoutes),
        reason: reader.str(),
        elapsedMs: reader.u32(),
      }),
    },
  ],
  [
    10,
    {
      type: "Exec",
      routes: ["client→supervisor", "supervisor→agent"],
      read: (reader) => ({
        type: "Exec",
        argv: reader.list(4, () => reader.str()),
        env: reader.list(4, () => reader.str()),
        cwd: reader.str(),
        user: reader.str(),
        tty: reader.bool(),
        rows: reader.u16(),
        cols: reader.u16(),
        stdin: reader.choice(stdinModes),
        rlimits: reader.list(17, () => readResourceLimit(reader)),
      }),
    },
  ],
  [
    11,
    {
      type: "ExecStarted",
      routes: ["agent→supervisor", "supervisor→client"],
      read: (reader) => ({
        type: "ExecStarted",
        pid: reader.u32(),
        sessionId: reader.u32(),
      }),
    },
  ],
  [
    12,
    {
      type: "ExecFailed",
      routes: ["agent→supervisor", "supervisor→client"],
      read: (reader) => ({
        type: "ExecFailed",
        stage: reader.choice(spawnStages),
        errno: reader.i32(),
        message: reader.str(),
      }),
    },
  ],
  [
    13,
    {
      type: "ExecExited",
      routes: ["agent→supervisor", "supervisor→client"],
      read: (reader) => ({
        type: "ExecExited",
        code: reader.i32(),
        signal: reader.u8(),
      }),
    },
  ],
  [
    21,
    {
      type: "OutputsEnded",
      routes: ["agent→supervisor", "supervisor→client"],
      read: () => ({
        type: "OutputsEnded",
      }),
    },
  ],
  [
    16,
    {
      type: "Signal",
      routes: ["client→supervisor", "supervisor→agent"],
      read: (reader) => ({
        type: "Signal",
        signal: reader.u8(),
      }),
    },
  ],
  [
    17,
    {
      type: "Resize",
      routes: ["client→supervisor", "supervisor→agent"],
      read: (reader) => ({
        type: "Resize",
        rows: reader.u16(),
        cols: reader.u16(),
      }),
    },
  ],
  [
    19,
    {
      type: "Release",
      routes: ["client→supervisor"],
      read: () => ({
        type: "Release",
      }),
    },
  ],
  [
    22,
    {
      type: "Unlogged",
      routes: ["client→supervisor"],
      read: () => ({
        type: "Unlogged",
      }),
    },
  ],
  [
    79,
    {
      type: "StartJob",
      routes: ["client→supervisor"],
      read: (reader) => ({
        type: "StartJob",
        argv: reader.list(4, () => reader.str()),
        env: reader.list(4, () => reader.str()),
        cwd: reader.str(),
        user: reader.str(),
        tty: reader.bool(),
        rows: reader.u16(),
        cols: reader.u16(),
        stdin: reader.choice(stdinModes),
        rlimits: reader.list(17, () => readResourceLimit(reader)),
        timeoutMs: reader.optional(() => reader.u53()),
        input: reader.optional(() => reader.bytes()),
      }),
    },
  ],
  [
    84,
    {
      type: "JobStarted",
      routes: ["supervisor→client"],
      read: (reader) => ({
        type: "JobStarted",
        id: reader.str(),
        pid: reader.u32(),
      }),
    },
  ],
  [
    85,
    {
      type: "AttachJob",
      routes: ["client→supervisor"],
      read: (reader) => ({
        type: "AttachJob",
        id: reader.str(),
        access: reader.choice(jobAccesss),
      }),
    },
  ],
  [
    88,
    {
      type: "JobReport",
      routes: ["supervisor→client"],
      read: (reader) => ({
        type: "JobReport",
        position: reader.u53(),
        printed: reader.u53(),
        state: reader.choice(jobStates),
        code: reader.optional(() => reader.i32()),
        signal: reader.u8(),
        timedOut: reader.bool(),
      }),
    },
  ],
  [
    89,
    {
      type: "SignalJob",
      routes: ["client→supervisor"],
      read: (reader) => ({
        type: "SignalJob",
        id: reader.str(),
        signal: reader.u8(),
      }),
    },
  ],
  [
    90,
    {
      type: "FileStat",
      routes: ["client→supervisor", "supervisor→agent"],
      read: (reader) => ({
        type: "FileStat",
        path: reader.bytes(),
        follow: reader.bool(),
      }),
    },
  ],
  [
    91,
    {
      type: "FileMetadata",
      routes: ["agent→supervisor", "supervisor→client"],
      read: (reader) => ({
        type: "FileMetadata",
        entry: readTreeEntry(reader),
        createdNs: reader.optional(() => reader.i64()),
        links: reader.u53(),
      }),
    },
  ],
  [
    92,
    {
      type: "FileRead",
      routes: ["client→supervisor", "supervisor→agent"],
      read: (reader) => ({
        type: "FileRead",
        path: reader.bytes(),
        offset: reader.u53(),
        length: reader.optional(() => reader.u53()),
      }),
    },
  ],
  [
    93,
    {
      type: "FileOpened",
      routes: ["agent→supervisor", "supervisor→client"],
      read: (reader) => ({
        type: "FileOpened",
        size: reader.u53(),
      }),
    },
  ],
  [
    94,
    {
      type: "FileWrite",
      routes: ["client→supervisor", "supervisor→agent"],
      read: (reader) => ({
        type: "FileWrite",
        path: reader.bytes(),
        mode: reader.optional(() => reader.u16()),
      }),
    },
  ],
  [
    95,
    {
      type: "FileMakeDirectory",
      routes: ["client→supervisor", "supervisor→agent"],
      read: (reader) => ({
        type: "FileMakeDirectory",
        path: reader.bytes(),
        parents: reader.bool(),
        mode: reader.optional(() => reader.u16()),
      }),
    },
  ],
  [
    96,
    {
      type: "FileRemove",
      routes: ["client→supervisor", "supervisor→agent"],
      read: (reader) => ({
        type: "FileRemove",
        path: reader.bytes(),
        recursive: reader.bool(),
      }),
    },
  ],
  [
    97,
    {
      type: "FileRename",
      routes: ["client→supervisor", "supervisor→agent"],
      read: (reader) => ({
        type: "FileRename",
        from: reader.bytes(),
        to: reader.bytes(),
      }),
    },
  ],
  [
    98,
    {
      type: "FileCopy",
      routes: ["client→supervisor", "supervisor→agent"],
      read: (reader) => ({
        type: "FileCopy",
        from: reader.bytes(),
        to: reader.bytes(),
      }),
    },
  ],
  [
    99,
    {
      type: "FileSymlink",
      routes: ["client→supervisor", "supervisor→agent"],
      read: (reader) => ({
        type: "FileSymlink",
        target: reader.bytes(),
        path: reader.bytes(),
      }),
    },
  ],
  [
    100,
    {
      type: "FileReadLink",
      routes: ["client→supervisor", "supervisor→agent"],
      read: (reader) => ({
        type: "FileReadLink",
        path: reader.bytes(),
      }),
    },
  ],
  [
    101,
    {
      type: "FileRealPath",
      routes: ["client→supervisor", "supervisor→agent"],
      read: (reader) => ({
        type: "FileRealPath",
        path: reader.bytes(),
      }),
    },
  ],
  [
    102,
    {
      type: "FilePath",
      routes: ["agent→supervisor", "supervisor→client"],
      read: (reader) => ({
        type: "FilePath",
        path: reader.bytes(),
      }),
    },
  ],
  [
    103,
    {
      type: "FileSetMode",
      routes: ["client→supervisor", "supervisor→agent"],
      read: (reader) => ({
        type: "FileSetMode",
        path: reader.bytes(),
        mode: reader.u16(),
      }),
    },
  ],
  [
    104,
    {
      type: "FileSetOwner",
      routes: ["client→supervisor", "supervisor→agent"],
      read: (reader) => ({
        type: "FileSetOwner",
        path: reader.bytes(),
        uid: reader.optional(() => reader.u32()),
        gid: reader.optional(() => reader.u32()),
        follow: reader.bool(),
      }),
    },
  ],
  [
    105,
    {
      type: "FileSetTimes",
      routes: ["client→supervisor", "supervisor→agent"],
      read: (reader) => ({
        type: "FileSetTimes",
        path: reader.bytes(),
        accessedNs: reader.optional(() => reader.i64()),
        modifiedNs: reader.optional(() => reader.i64()),
        follow: reader.bool(),
      }),
    },
  ],
  [
    106,
    {
      type: "FileTruncate",
      routes: ["client→supervisor", "supervisor→agent"],
      read: (reader) => ({
        type: "FileTruncate",
        path: reader.bytes(),
        size: reader.u53(),
      }),
    },
  ],
  [
    107,
    {
      type: "FileDone",
      routes: ["agent→supervisor", "supervisor→client"],
      read: () => ({
        type: "FileDone",
      }),
    },
  ],
  [
    108,
    {
      type: "FileFailed",
      routes: ["agent→supervisor", "supervisor→client"],
      read: (reader) => ({
        type: "FileFailed",
        path: reader.bytes(),
        operation: reader.str(),
        errno: reader.i32(),
        message: reader.str(),
      }),
    },
  ],
  [
    109,
    {
      type: "TreeSend",
      routes: ["client→supervisor", "supervisor→agent"],
      read: (reader) => ({
        type: "TreeSend",
        path: reader.bytes(),
        followRoot: reader.bool(),
        followAll: reader.bool(),
        contents: reader.bool(),
        depth: reader.optional(() => reader.u32()),
      }),
    },
  ],
  [
    110,
    {
      type: "TreeReceive",
      routes: ["client→supervisor", "supervisor→agent"],
      read: (reader) => ({
        type: "TreeReceive",
        path: reader.bytes(),
        keepMode: reader.bool(),
        keepTimes: reader.bool(),
        keepOwner: reader.bool(),
      }),
    },
  ],
  [
    111,
    {
      type: "TreeDone",
      routes: ["agent→supervisor", "supervisor→client"],
      read: (reader) => ({
        type: "TreeDone",
        problemCount: reader.u53(),
        problems: reader.list(16, () => readFileProblem(reader)),
      }),
    },
  ],
  [
    112,
    {
      type: "FileWatch",
      routes: ["client→supervisor", "supervisor→agent"],
      read: (reader) => ({
        type: "FileWatch",
        path: reader.bytes(),
      }),
    },
  ],
  [
    113,
    {
      type: "FileChanges",
      routes: ["agent→supervisor", "supervisor→client"],
      read: (reader) => ({
        type: "FileChanges",
        changes: reader.list(10, () => readFileChange(reader)),
      }),
    },
  ],
  [
    140,
    {
      type: "ProvideFiles",
      routes: ["supervisor→client"],
      read: (reader) => ({
        type: "ProvideFiles",
        path: reader.str(),
      }),
    },
  ],
  [
    160,
    {
      type: "GiveSecrets",
      routes: ["supervisor→client"],
      read: (reader) => ({
        type: "GiveSecrets",
        envVars: reader.list(4, () => reader.str()),
      }),
    },
  ],
  [
    161,
    {
      type: "SecretsGiven",
      routes: ["client→supervisor"],
      read: (reader) => ({
        type: "SecretsGiven",
        secrets: reader.list(5, () => readGivenSecret(reader)),
      }),
    },
  ],
  [
    162,
    {
      type: "FetchSecret",
      routes: ["supervisor→client"],
      read: (reader) => ({
        type: "FetchSecret",
        envVar: reader.str(),
        host: reader.str(),
      }),
    },
  ],
  [
    163,
    {
      type: "SecretFetched",
      routes: ["client→supervisor"],
      read: (reader) => ({
        type: "SecretFetched",
        value: reader.str(),
        expiresMs: reader.optional(() => reader.u53()),
      }),
    },
  ],
  [
    164,
    {
      type: "LookAtRequest",
      routes: ["supervisor→client"],
      read: (reader) => ({
        type: "LookAtRequest",
        request: readHookedRequestHead(reader),
        hasBody: reader.bool(),
      }),
    },
  ],
  [
    165,
    {
      type: "LookAtResponse",
      routes: ["supervisor→client"],
      read: (reader) => ({
        type: "LookAtResponse",
        request: readHookedRequestHead(reader),
        status: reader.u16(),
        fields: reader.list(8, () => readHookedField(reader)),
        hasBody: reader.bool(),
      }),
    },
  ],
  [
    166,
    {
      type: "HookReads",
      routes: ["client→supervisor"],
      read: () => ({
        type: "HookReads",
      }),
    },
  ],
  [
    167,
    {
      type: "HookDecides",
      routes: ["client→supervisor"],
      read: (reader) => ({
        type: "HookDecides",
        isAnswer: reader.bool(),
        method: reader.optional(() => reader.str()),
        url: reader.optional(() => reader.str()),
        status: reader.optional(() => reader.u16()),
        fields: reader.optional(() => reader.list(8, () => readHookedField(reader))),
        body: reader.choice(hookedBodys),
        length: reader.optional(() => reader.u53()),
      }),
    },
  ],
  [
    168,
    {
      type: "HookDone",
      routes: ["client→supervisor"],
      read: () => ({
        type: "HookDone",
      }),
    },
  ],
  [
    130,
    {
      type: "PatchApply",
      routes: ["supervisor→agent"],
      read: (reader) => ({
        type: "PatchApply",
        kind: reader.choice(patchKinds),
        path: reader.bytes(),
        mode: reader.optional(() => reader.u16()),
        replace: reader.bool(),
        target: reader.bytes(),
        inPlace: reader.bool(),
        keepDirectories: reader.bool(),
        into: reader.bytes(),
      }),
    },
  ],
  [
    30,
    {
      type: "Ping",
      routes: ["client→supervisor", "supervisor→agent"],
      read: (reader) => ({
        type: "Ping",
        nonce: reader.u32(),
      }),
    },
  ],
  [
    31,
    {
      type: "Pong",
      routes: ["agent→supervisor", "supervisor→client"],
      read: (reader) => ({
        type: "Pong",
        nonce: reader.u32(),
      }),
    },
  ],
  [
    34,
    {
      type: "Shutdown",
      routes: ["supervisor→agent"],
      read: (reader) => ({
        type: "Shutdown",
        graceMs: reader.u32(),
        signal: reader.u8(),
      }),
    },
  ],
  [
    35,
    {
      type: "ShuttingDown",
      routes: ["agent→supervisor"],
      read: () => ({
        type: "ShuttingDown",
      }),
    },
  ],
  [
    39,
    {
      type: "FlushDisks",
      routes: ["supervisor→agent"],
      read: () => ({
        type: "FlushDisks",
      }),
    },
  ],
  [
    43,
    {
      type: "HoldStill",
      routes: ["supervisor→agent"],
      read: () => ({
        type: "HoldStill",
      }),
    },
  ],
  [
    45,
    {
      type: "FreezeDisk",
      routes: ["supervisor→agent"],
      read: (reader) => ({
        type: "FreezeDisk",
        limitMs: reader.u32(),
      }),
    },
  ],
  [
    46,
    {
      type: "DiskFrozen",
      routes: ["agent→supervisor"],
      read: () => ({
        type: "DiskFrozen",
      }),
    },
  ],
  [
    44,
    {
      type: "StandsStill",
      routes: ["agent→supervisor"],
      read: () => ({
        type: "StandsStill",
      }),
    },
  ],
  [
    50,
    {
      type: "Touch",
      routes: ["client→supervisor"],
      read: () => ({
        type: "Touch",
      }),
    },
  ],
  [
    51,
    {
      type: "Touched",
      routes: ["supervisor→client"],
      read: (reader) => ({
        type: "Touched",
        activitySequence: reader.u53(),
      }),
    },
  ],
  [
    52,
    {
      type: "Detach",
      routes: ["client→supervisor"],
      read: () => ({
        type: "Detach",
      }),
    },
  ],
  [
    53,
    {
      type: "Stop",
      routes: ["client→supervisor"],
      read: (reader) => ({
        type: "Stop",
        graceMs: reader.u32(),
      }),
    },
  ],
  [
    54,
    {
      type: "Kill",
      routes: ["client→supervisor"],
      read: () => ({
        type: "Kill",
      }),
    },
  ],
  [
    55,
    {
      type: "Drain",
      routes: ["client→supervisor"],
      read: () => ({
        type: "Drain",
      }),
    },
  ],
  [
    60,
    {
      type: "Done",
      routes: ["supervisor→client"],
      read: () => ({
        type: "Done",
      }),
    },
  ],
  [
    62,
    {
      type: "WatchState",
      routes: ["client→supervisor"],
      read: () => ({
        type: "WatchState",
      }),
    },
  ],
  [
    63,
    {
      type: "StateChanged",
      routes: ["supervisor→client"],
      read: (reader) => ({
        type: "StateChanged",
        state: reader.choice(sandboxStates),
      }),
    },
  ],
  [
    64,
    {
      type: "Next",
      routes: ["client→supervisor", "supervisor→agent"],
      read: () => ({
        type: "Next",
      }),
    },
  ],
  [
    56,
    {
      type: "Discard",
      routes: ["client→supervisor"],
      read: () => ({
        type: "Discard",
      }),
    },
  ],
  [
    68,
    {
      type: "Pause",
      routes: ["client→supervisor"],
      read: (reader) => ({
        type: "Pause",
        calls: reader.choice(pausedCallss),
        flush: reader.bool(),
      }),
    },
  ],
  [
    69,
    {
      type: "Resume",
      routes: ["client→supervisor"],
      read: () => ({
        type: "Resume",
      }),
    },
  ],
  [
    73,
    {
      type: "Suspend",
      routes: ["client→supervisor"],
      read: () => ({
        type: "Suspend",
      }),
    },
  ],
  [
    74,
    {
      type: "Capture",
      routes: ["client→supervisor"],
      read: (reader) => ({
        type: "Capture",
        directory: reader.str(),
        flush: reader.bool(),
        purpose: reader.choice(copyPurposes),
        names: reader.list(4, () => reader.str()),
      }),
    },
  ],
  [
    75,
    {
      type: "Captured",
      routes: ["supervisor→client"],
      read: (reader) => ({
        type: "Captured",
        heldMs: reader.u32(),
        ownBytes: reader.u53(),
      }),
    },
  ],
  [
    76,
    {
      type: "HoldDisk",
      routes: ["client→supervisor"],
      read: (reader) => ({
        type: "HoldDisk",
        flush: reader.choice(guestFlushs),
      }),
    },
  ],
  [
    77,
    {
      type: "DiskHeld",
      routes: ["supervisor→client"],
      read: (reader) => ({
        type: "DiskHeld",
        hold: reader.choice(diskHolds),
      }),
    },
  ],
  [
    78,
    {
      type: "ReleaseDisk",
      routes: ["client→supervisor", "supervisor→agent"],
      read: () => ({
        type: "ReleaseDisk",
      }),
    },
  ],
  [
    86,
    {
      type: "MakeCheckpoint",
      routes: ["client→supervisor"],
      read: (reader) => ({
        type: "MakeCheckpoint",
        name: reader.str(),
        flush: reader.bool(),
      }),
    },
  ],
  [
    87,
    {
      type: "RollBack",
      routes: ["client→supervisor"],
      read: (reader) => ({
        type: "RollBack",
        checkpoint: reader.str(),
      }),
    },
  ],
  [
    57,
    {
      type: "Ended",
      routes: ["supervisor→client"],
      read: (reader) => ({
        type: "Ended",
        state: reader.choice(sandboxStates),
        exitCode: reader.optional(() => reader.i32()),
        signal: reader.optional(() => reader.str()),
        reason: reader.str(),
      }),
    },
  ],
  [
    32,
    {
      type: "StatsRequest",
      routes: ["supervisor→agent"],
      read: () => ({
        type: "StatsRequest",
      }),
    },
  ],
  [
    33,
    {
      type: "Stats",
      routes: ["agent→supervisor"],
      read: (reader) => ({
        type: "Stats",
        memoryTotal: reader.u53(),
        memoryAvailable: reader.u53(),
        rootTotal: reader.u53(),
        rootFree: reader.u53(),
      }),
    },
  ],
  [
    58,
    {
      type: "MetricsRequest",
      routes: ["client→supervisor"],
      read: () => ({
        type: "MetricsRequest",
      }),
    },
  ],
  [
    65,
    {
      type: "WatchMetrics",
      routes: ["client→supervisor"],
      read: (reader) => ({
        type: "WatchMetrics",
        intervalMs: reader.u32(),
      }),
    },
  ],
  [
    59,
    {
      type: "Metrics",
      routes: ["supervisor→client"],
      read: (reader) => ({
        type: "Metrics",
        timestampMs: reader.u53(),
        cpuPercentTimes100: reader.u32(),
        vcpuTimeNs: reader.u53(),
        memoryBytes: reader.u53(),
        memoryLimitBytes: reader.u53(),
        memoryAvailableBytes: reader.optional(() => reader.u53()),
        memoryHostResidentBytes: reader.optional(() => reader.u53()),
        diskReadBytes: reader.u53(),
        diskWriteBytes: reader.u53(),
        netRxBytes: reader.u53(),
        netTxBytes: reader.u53(),
        netFlowsOpened: reader.u53(),
        netFlowsDenied: reader.u53(),
        netActiveFlows: reader.u53(),
        dnsQueries: reader.u53(),
        dnsDenied: reader.u53(),
        uptimeMs: reader.u53(),
        upperUsedBytes: reader.optional(() => reader.u53()),
        upperFreeBytes: reader.optional(() => reader.u53()),
        upperHostAllocatedBytes: reader.optional(() => reader.u53()),
        hostDiskFull: reader.bool(),
        copies: reader.u53(),
        copyPauseMs: reader.u53(),
      }),
    },
  ],
  [
    66,
    {
      type: "WatchLogs",
      routes: ["client→supervisor"],
      read: () => ({
        type: "WatchLogs",
      }),
    },
  ],
  [
    67,
    {
      type: "LogsChanged",
      routes: ["supervisor→client"],
      read: () => ({
        type: "LogsChanged",
      }),
    },
  ],
  [
    150,
    {
      type: "NetworkRequest",
      routes: ["client→supervisor"],
      read: (reader) => ({
        type: "NetworkRequest",
        flows: reader.bool(),
      }),
    },
  ],
  [
    151,
    {
      type: "NetworkStatus",
      routes: ["supervisor→client"],
      read: (reader) => ({
        type: "NetworkStatus",
        ports: reader.list(10, () => readBoundPort(reader)),
        counters: readNetworkCounters(reader),
        policy: reader.str(),
        observe: reader.bool(),
        maxConnections: reader.u32(),
        flows: reader.list(25, () => readActiveFlow(reader)),
      }),
    },
  ],
  [
    152,
    {
      type: "UpdateNetwork",
      routes: ["client→supervisor"],
      read: (reader) => ({
        type: "UpdateNetwork",
        change: reader.str(),
        persist: reader.bool(),
      }),
    },
  ],
  [
    153,
    {
      type: "ConnectGuest",
      routes: ["client→supervisor"],
      read: (reader) => ({
        type: "ConnectGuest",
        port: reader.u16(),
      }),
    },
  ],
  [
    154,
    {
      type: "GuestConnected",
      routes: ["supervisor→client"],
      read: () => ({
        type: "GuestConnected",
      }),
    },
  ],
  [
    155,
    {
      type: "GuestDisconnected",
      routes: ["supervisor→client"],
      read: () => ({
        type: "GuestDisconnected",
      }),
    },
  ],
  [
    156,
    {
      type: "WatchNetwork",
      routes: ["client→supervisor"],
      read: () => ({
        type: "WatchNetwork",
      }),
    },
  ],
  [
    157,
    {
      type: "NetworkEvents",
      routes: ["supervisor→client"],
      read: (reader) => ({
        type: "NetworkEvents",
        from: reader.u53(),
        lost: reader.u53(),
        lines: reader.list(4, () => reader.str()),
      }),
    },
  ],
  [
    158,
    {
      type: "ModifySecrets",
      routes: ["client→supervisor"],
      read: (reader) => ({
        type: "ModifySecrets",
        change: reader.str(),
        live: reader.bool(),
      }),
    },
  ],
  [
    36,
    {
      type: "Events",
      routes: ["agent→supervisor"],
      read: () => ({
        type: "Events",
      }),
    },
  ],
  [
    37,
    {
      type: "OutOfMemory",
      routes: ["agent→supervisor"],
      read: (reader) => ({
        type: "OutOfMemory",
        kills: reader.u53(),
      }),
    },
  ],
  [
    38,
    {
      type: "PowerOff",
      routes: ["agent→supervisor"],
      read: () => ({
        type: "PowerOff",
      }),
    },
  ],
  [
    47,
    {
      type: "ListenInside",
      routes: ["supervisor→agent"],
      read: () => ({
        type: "ListenInside",
      }),
    },
  ],
  [
    48,
    {
      type: "TellInside",
      routes: ["client→supervisor", "supervisor→agent"],
      read: (reader) => ({
        type: "TellInside",
        name: reader.str(),
        timeMs: reader.u53(),
        data: reader.bytes(),
      }),
    },
  ],
  [
    49,
    {
      type: "ToldInside",
      routes: ["agent→supervisor", "supervisor→client"],
      read: (reader) => ({
        type: "ToldInside",
        listeners: reader.u32(),
        missed: reader.u32(),
      }),
    },
  ],
  [
    170,
    {
      type: "WatchEvents",
      routes: ["client→supervisor"],
      read: (reader) => ({
        type: "WatchEvents",
        names: reader.list(4, () => reader.str()),
      }),
    },
  ],
  [
    171,
    {
      type: "EventsBegin",
      routes: ["supervisor→client"],
      read: () => ({
        type: "EventsBegin",
      }),
    },
  ],
  [
    80,
    {
      type: "Warm",
      routes: ["client→supervisor"],
      read: (reader) => ({
        type: "Warm",
        config: reader.str(),
      }),
    },
  ],
  [
    81,
    {
      type: "Warmed",
      routes: ["supervisor→client"],
      read: (reader) => ({
        type: "Warmed",
        outcome: reader.choice(warmOutcomes),
      }),
    },
  ],
  [
    82,
    {
      type: "Diagnose",
      routes: ["client→supervisor"],
      read: () => ({
        type: "Diagnose",
      }),
    },
  ],
  [
    83,
    {
      type: "Diagnosis",
      routes: ["supervisor→client"],
      read: (reader) => ({
        type: "Diagnosis",
        findings: reader.list(13, () => readFinding(reader)),
      }),
    },
  ],
]);

export function writeGuestNetwork(writer: WireWriter, value: GuestNetwork): void {
  writer.bytes(value.mac);
  writer.u32(value.mtu);
  writer.list(value.addresses, (item) => writeGuestAddress(writer, item));
}

export function readGuestNetwork(reader: WireReader): GuestNetwork {
  return {
    mac: reader.bytes(),
    mtu: reader.u32(),
    addresses: reader.list(9, () => readGuestAddress(reader)),
  };
}

export function writeGuestAddress(writer: WireWriter, value: GuestAddress): void {
  writer.bytes(value.address);
  writer.u8(value.prefix);
  writer.bytes(value.gateway);
}

export function readGuestAddress(reader: WireReader): GuestAddress {
  return {
    address: reader.bytes(),
    prefix: reader.u8(),
    gateway: reader.bytes(),
  };
}

export function writeGuestTrust(writer: WireWriter, value: GuestTrust): void {
  writer.optional(value.authority, (item) => writer.str(item));
  writer.list(value.hostRoots, (item) => writer.str(item));
}

export function readGuestTrust(reader: WireReader): GuestTrust {
  return {
    authority: reader.optional(() => reader.str()),
    hostRoots: reader.list(4, () => reader.str()),
  };
}

export function writeScript(writer: WireWriter, value: Script): void {
  writer.str(value.name);
  writer.bytes(value.content);
}

export function readScript(reader: WireReader): Script {
  return {
    name: reader.str(),
    content: reader.bytes(),
  };
}

export function writeGuestMount(writer: WireWriter, value: GuestMount): void {
  writer.str(value.path);
  writer.bool(value.readOnly);
  writer.bool(value.noExec);
  writer.bool(value.noSuid);
  writer.bool(value.noDevices);
  writer.optional(value.memory, (item) => writeMemoryMount(writer, item));
  writer.optional(value.disk, (item) => writeDiskMount(writer, item));
  writer.optional(value.files, (item) => writeHostFiles(writer, item));
}

export function readGuestMount(reader: WireReader): GuestMount {
  return {
    path: reader.str(),
    readOnly: reader.bool(),
    noExec: reader.bool(),
    noSuid: reader.bool(),
    noDevices: reader.bool(),
    memory: reader.optional(() => readMemoryMount(reader)),
    disk: reader.optional(() => readDiskMount(reader)),
    files: reader.optional(() => readHostFiles(reader)),
  };
}

export function writeMemoryMount(writer: WireWriter, value: MemoryMount): void {
  writer.u32(value.sizeMib);
}

export function readMemoryMount(reader: WireReader): MemoryMount {
  return {
    sizeMib: reader.u32(),
  };
}

export function writeDiskMount(writer: WireWriter, value: DiskMount): void {
  writeDiskFileSystem(writer, value.fileSystem);
  writer.bool(value.fills);
}

export function readDiskMount(reader: WireReader): DiskMount {
  return {
    fileSystem: readDiskFileSystem(reader),
    fills: reader.bool(),
  };
}

export function writeHostFiles(writer: WireWriter, value: HostFiles): void {
  writer.bool(value.isFile);
}

export function readHostFiles(reader: WireReader): HostFiles {
  return {
    isFile: reader.bool(),
  };
}

export function writeRoot(writer: WireWriter, value: Root): void {
  writer.optional(value.layered, (item) => writeLayeredRoot(writer, item));
  writer.optional(value.shared, (item) => writeSharedRoot(writer, item));
  writer.optional(value.disk, (item) => writeDiskFileSystem(writer, item));
}

export function readRoot(reader: WireReader): Root {
  return {
    layered: reader.optional(() => readLayeredRoot(reader)),
    shared: reader.optional(() => readSharedRoot(reader)),
    disk: reader.optional(() => readDiskFileSystem(reader)),
  };
}

export function writeLayeredRoot(writer: WireWriter, value: LayeredRoot): void {
  writeDiskFileSystem(writer, value.lower);
  writer.optional(value.upperSerial, (item) => writer.str(item));
  writer.u32(value.upperSizeMib);
}

export function readLayeredRoot(reader: WireReader): LayeredRoot {
  return {
    lower: readDiskFileSystem(reader),
    upperSerial: reader.optional(() => reader.str()),
    upperSizeMib: reader.u32(),
  };
}

export function writeSharedRoot(writer: WireWriter, value: SharedRoot): void {
  writer.str(value.tag);
}

export function readSharedRoot(reader: WireReader): SharedRoot {
  return {
    tag: reader.str(),
  };
}

export function writeDiskFileSystem(writer: WireWriter, value: DiskFileSystem): void {
  writer.str(value.serial);
  writer.str(value.fsType);
}

export function readDiskFileSystem(reader: WireReader): DiskFileSystem {
  return {
    serial: reader.str(),
    fsType: reader.str(),
  };
}

export function writeResourceLimit(writer: WireWriter, value: ResourceLimit): void {
  writer.u8(value.resource);
  writer.u64(value.soft);
  writer.u64(value.hard);
}

export function readResourceLimit(reader: WireReader): ResourceLimit {
  return {
    resource: reader.u8(),
    soft: reader.u64(),
    hard: reader.u64(),
  };
}

export function writeTreeEntry(writer: WireWriter, value: TreeEntry): void {
  writer.bytes(value.path);
  writer.choice(fileKinds, value.kind);
  writer.u16(value.mode);
  writer.u32(value.uid);
  writer.u32(value.gid);
  writer.i64(value.mtimeNs);
  writer.u53(value.size);
  writer.bytes(value.target);
}

export function readTreeEntry(reader: WireReader): TreeEntry {
  return {
    path: reader.bytes(),
    kind: reader.choice(fileKinds),
    mode: reader.u16(),
    uid: reader.u32(),
    gid: reader.u32(),
    mtimeNs: reader.i64(),
    size: reader.u53(),
    target: reader.bytes(),
  };
}

export function writeFileProblem(writer: WireWriter, value: FileProblem): void {
  writer.bytes(value.path);
  writer.str(value.operation);
  writer.i32(value.errno);
  writer.str(value.message);
}

export function readFileProblem(reader: WireReader): FileProblem {
  return {
    path: reader.bytes(),
    operation: reader.str(),
    errno: reader.i32(),
    message: reader.str(),
  };
}

export function writeFileChange(writer: WireWriter, value: FileChange): void {
  writer.choice(fileChangeKinds, value.kind);
  writer.bytes(value.name);
  writer.bool(value.isDirectory);
  writer.u32(value.cookie);
}

export function readFileChange(reader: WireReader): FileChange {
  return {
    kind: reader.choice(fileChangeKinds),
    name: reader.bytes(),
    isDirectory: reader.bool(),
    cookie: reader.u32(),
  };
}

export function writeHookedField(writer: WireWriter, value: HookedField): void {
  writer.str(value.name);
  writer.str(value.value);
}

export function readHookedField(reader: WireReader): HookedField {
  return {
    name: reader.str(),
    value: reader.str(),
  };
}

export function writeHookedRequestHead(writer: WireWriter, value: HookedRequestHead): void {
  writer.str(value.method);
  writer.str(value.url);
  writer.list(value.fields, (item) => writeHookedField(writer, item));
}

export function readHookedRequestHead(reader: WireReader): HookedRequestHead {
  return {
    method: reader.str(),
    url: reader.str(),
    fields: reader.list(8, () => readHookedField(reader)),
  };
}

export function writeGivenSecret(writer: WireWriter, value: GivenSecret): void {
  writer.str(value.envVar);
  writer.optional(value.value, (item) => writer.str(item));
}

export function readGivenSecret(reader: WireReader): GivenSecret {
  return {
    envVar: reader.str(),
    value: reader.optional(() => reader.str()),
  };
}

export function writeBoundPort(writer: WireWriter, value: BoundPort): void {
  writer.str(value.hostBind);
  writer.u16(value.hostPort);
  writer.u16(value.guestPort);
  writer.choice(portProtocols, value.protocol);
  writer.bool(value.proxyProtocol);
}

export function readBoundPort(reader: WireReader): BoundPort {
  return {
    hostBind: reader.str(),
    hostPort: reader.u16(),
    guestPort: reader.u16(),
    protocol: reader.choice(portProtocols),
    proxyProtocol: reader.bool(),
  };
}

export function writeNetworkCounters(writer: WireWriter, value: NetworkCounters): void {
  writer.u53(value.rxBytes);
  writer.u53(value.txBytes);
  writer.u53(value.rxFrames);
  writer.u53(value.txFrames);
  writer.u53(value.flowsOpened);
  writer.u53(value.flowsDenied);
  writer.u53(value.dnsQueries);
  writer.u53(value.dnsDenied);
  writer.u53(value.activeFlows);
}

export function readNetworkCounters(reader: WireReader): NetworkCounters {
  return {
    rxBytes: reader.u53(),
    txBytes: reader.u53(),
    rxFrames: reader.u53(),
    txFrames: reader.u53(),
    flowsOpened: reader.u53(),
    flowsDenied: reader.u53(),
    dnsQueries: reader.u53(),
    dnsDenied: reader.u53(),
    activeFlows: reader.u53(),
  };
}

export function writeActiveFlow(writer: WireWriter, value: ActiveFlow): void {
  writer.u53(value.flow);
  writer.u53(value.openedMs);
  writer.choice(flowDirections, value.direction);
  writer.choice(flowProtocols, value.protocol);
  writer.str(value.address);
  writer.optional(value.port, (item) => writer.u16(item));
  writer.optional(value.name, (item) => writer.str(item));
  writer.optional(value.rule, (item) => writer.u32(item));
}

export function readActiveFlow(reader: WireReader): ActiveFlow {
  return {
    flow: reader.u53(),
    openedMs: reader.u53(),
    direction: reader.choice(flowDirections),
    protocol: reader.choice(flowProtocols),
    address: reader.str(),
    port: reader.optional(() => reader.u16()),
    name: reader.optional(() => reader.str()),
    rule: reader.optional(() => reader.u32()),
  };
}

export function writeFinding(writer: WireWriter, value: Finding): void {
  writer.str(value.name);
  writer.choice(findingStatuss, value.status);
  writer.str(value.detail);
  writer.str(value.fix);
}

export function readFinding(reader: WireReader): Finding {
  return {
    name: reader.str(),
    status: reader.choice(findingStatuss),
    detail: reader.str(),
    fix: reader.str(),
  };
}
