/**
 * What the page and its server say to each other. Types only: the page is compiled for a browser, and imports nothing else of this
 * folder.
 *
 * A call is `POST /api/NAME` with its arguments as JSON; what goes on by itself comes over the WebSocket `/live`; files are
 * `GET` and `PUT /file`; a terminal is a WebSocket of its own, `/terminal`.
 */

/** An error as the page shows it. */
export interface Failure {
  readonly code: string;
  readonly message: string;
  /** What to do about it; empty when there is nothing to say. */
  readonly hint: string;
}

/** A sandbox in the list. */
export interface SandboxRow {
  readonly id: string;
  readonly name: string;
  readonly status: string;
  readonly image: string;
  readonly cpus: number | null;
  readonly memoryMib: number | null;
  /** ms since 1970. */
  readonly createdAt: number;
  readonly ports: readonly PortRow[];
  readonly labels: Readonly<Record<string, string>>;
  readonly hasNetwork: boolean;
}

export interface PortRow {
  readonly hostBind: string;
  readonly hostPort: number;
  readonly guestPort: number;
  readonly protocol: "tcp" | "udp";
}

/** What a sandbox uses at a moment. Sizes in bytes, rates in bytes a second. */
export interface Sample {
  /** ms since 1970. */
  readonly at: number;
  /** 100 is one full core. */
  readonly cpu: number;
  readonly memory: number;
  readonly memoryLimit: number;
  readonly diskRead: number;
  readonly diskWrite: number;
  readonly netIn: number;
  readonly netOut: number;
  /** Of the writable layer; null: it is not known. */
  readonly diskUsed: number | null;
  readonly diskFree: number | null;
  readonly uptimeMs: number;
}

/** What is new in the list of sandboxes. */
export interface SandboxesNews {
  /** It is everything there is, and not only what is new. */
  readonly all: boolean;
  readonly rows: readonly SandboxRow[];
  /** Why they cannot be listed just now; null: they can. */
  readonly problem: Failure | null;
  /** Ids of those that are gone. */
  readonly gone: readonly string[];
  /** By id, oldest first. */
  readonly samples: Readonly<Record<string, readonly Sample[]>>;
}

/** How something that takes long goes on. */
export interface Progress {
  readonly text: string;
  /** Of how much how much is done; null: nobody knows. */
  readonly done: number | null;
  readonly total: number | null;
  readonly unit: "bytes" | "layers" | null;
}

export interface LogLine {
  /** ms since 1970. */
  readonly at: number;
  readonly source: "stdout" | "stderr" | "output" | "system";
  readonly session: number | null;
  readonly text: string;
}

export interface LogNews {
  readonly lines: readonly LogLine[];
  /** More came than the page could be told: so many lines are only in the log. */
  readonly skipped: number;
}

/** What the network has decided, in words. */
export interface Decision {
  /** ms since 1970. */
  readonly at: number;
  readonly verdict: "allowed" | "denied" | "note";
  /** `flow`, `dns`, `http`, `tls`, `secret`, `policy` or `lost`. */
  readonly kind: string;
  /** What it was about: `tcp to example.com:443 (93.184.216.34)`. */
  readonly what: string;
  /** What decided: `rule 2: allow@example.com:tcp:443`, `the default`. */
  readonly by: string;
  /** The rule that would decide the other way, as text; null where none would. */
  readonly remedy: string | null;
}

export interface NetworkView {
  readonly defaultEgress: string;
  readonly defaultIngress: string;
  /** As text, in their order. */
  readonly rules: readonly string[];
  readonly observe: boolean;
  readonly maxConnections: number;
  readonly ports: readonly PortRow[];
  readonly activeFlows: number;
  readonly flowsOpened: number;
  readonly flowsDenied: number;
  readonly dnsQueries: number;
  readonly dnsDenied: number;
}

/** What a page can watch, and what it is told. */
export interface Topics {
  readonly sandboxes: { readonly args: Readonly<Record<string, never>>; readonly news: SandboxesNews };
  readonly logs: { readonly args: { readonly name: string }; readonly news: LogNews };
  readonly network: { readonly args: { readonly name: string }; readonly news: readonly Decision[] };
  /** Of a call: `id` is what the page has given it as `progress`. */
  readonly progress: { readonly args: { readonly id: string }; readonly news: Progress };
}
export type Topic = keyof Topics;

/** From the page. `id` is chosen by it. */
export type LiveRequest =
  { readonly watch: number; readonly topic: Topic; readonly args: unknown } | { readonly unwatch: number };

/** To the page. With `end` nothing more comes; an error says why, null: there is nothing more. */
export type LiveAnswer =
  { readonly id: number; readonly news: unknown } | { readonly id: number; readonly end: Failure | null };

export interface SandboxView extends SandboxRow {
  readonly updatedAt: number;
  readonly accelerator: string | null;
  /** How the latest run was started, in words; null: it never ran. */
  readonly start: string | null;
  /** Why the latest start failed; null: it did not. */
  readonly bootError: { readonly message: string; readonly hint: string; readonly console: string } | null;
  /** How it was created: JSON. */
  readonly config: string;
}

export interface FileRow {
  readonly name: string;
  /** The whole path, its bytes in base64url: a name need not be UTF-8. */
  readonly path: string;
  readonly kind: "file" | "directory" | "symlink" | "other";
  /** Bytes. */
  readonly size: number;
  /** As `ls` writes it. */
  readonly mode: string;
  /** ms since 1970. */
  readonly modified: number | null;
  readonly target: string | null;
}

export interface Listing {
  /** As text. */
  readonly path: string;
  readonly entries: readonly FileRow[];
  /** So many more are there and not told. */
  readonly more: number;
}

export interface FilePreview {
  /** It is a directory, to which a link leads: there is nothing to view. */
  readonly isDirectory: boolean;
  readonly text: string | null;
  /** Bytes. */
  readonly size: number;
  /** Only the beginning is here. */
  readonly cut: boolean;
}

/** A branch of the tree of sandboxes, their snapshots, checkpoints and forks. */
export interface TreeNode {
  readonly kind: "sandbox" | "snapshot" | "checkpoint";
  /** What it is known by: an id, a digest. */
  readonly key: string;
  readonly name: string;
  /** How it came to be, in a few words. */
  readonly note: string;
  /** ms since 1970. */
  readonly createdAt: number;
  readonly bytes: number | null;
  readonly children: readonly TreeNode[];
}

export interface ImageRow {
  readonly reference: string;
  readonly sizeBytes: number | null;
  readonly createdAt: number | null;
  readonly lastUsedAt: number | null;
  readonly damage: string | null;
}

export interface VolumeRow {
  readonly name: string;
  readonly kind: string;
  readonly usedBytes: number | null;
  readonly limitMib: number | null;
  readonly createdAt: number | null;
}

export interface TemplateRow {
  readonly key: string;
  readonly status: string;
  readonly reason: string;
  readonly kind: string;
  readonly image: string | null;
  readonly shape: string;
  readonly sizeBytes: number;
  readonly lastUsedAt: number;
}

export interface UsageRow {
  readonly kind: string;
  readonly count: number | null;
  readonly active: number | null;
  readonly bytes: number;
  readonly reclaimableBytes: number | null;
}

export interface PruneReport {
  readonly removed: readonly string[];
  readonly bytes: number;
}

export interface NewSandbox {
  readonly name: string;
  readonly image: string;
  readonly cpus: number | null;
  readonly memoryMib: number | null;
  readonly env: Readonly<Record<string, string>>;
  readonly ports: readonly { readonly hostPort: number; readonly guestPort: number }[];
  readonly network: boolean;
  /** Under what the page watches how it goes on: random, so that no two are the same. */
  readonly progress: string;
}

/** What the user should know of a start that went well. */
export interface Started {
  readonly notices: readonly string[];
}

interface Named {
  readonly name: string;
}
type Nothing = Readonly<Record<string, never>>;
interface Call<Args, Result> {
  readonly args: Args;
  readonly result: Result;
}

/** Every call, with what it takes and what it gives. */
export interface Calls {
  /** Whether the token is right. */
  readonly "session.check": Call<Nothing, null>;
  readonly "sandbox.create": Call<NewSandbox, Started>;
  readonly "sandbox.get": Call<Named, SandboxView>;
  readonly "sandbox.start": Call<Named, Started>;
  readonly "sandbox.stop": Call<Named, null>;
  readonly "sandbox.kill": Call<Named, null>;
  readonly "sandbox.pause": Call<Named, null>;
  readonly "sandbox.resume": Call<Named, null>;
  readonly "sandbox.fork": Call<Named & { readonly child: string }, null>;
  readonly "sandbox.remove": Call<Named, null>;
  readonly "logs.search": Call<
    Named & { readonly text: string },
    { readonly lines: readonly LogLine[]; readonly more: number }
  >;
  readonly "files.list": Call<Named & { readonly path: string }, Listing>;
  readonly "files.view": Call<Named & { readonly path: string }, FilePreview>;
  readonly "network.view": Call<Named, NetworkView>;
  readonly "network.rule": Call<Named & { readonly rule: string; readonly persist: boolean }, NetworkView>;
  readonly "network.suggest": Call<
    Named,
    { readonly defaultEgress: string; readonly rules: readonly string[] }
  >;
  readonly "network.publish": Call<
    Named & { readonly hostPort: number; readonly guestPort: number },
    NetworkView
  >;
  readonly "network.unpublish": Call<Named & PortRow, NetworkView>;
  readonly "tree.view": Call<Nothing, { readonly roots: readonly TreeNode[] }>;
  readonly "snapshot.create": Call<Named & { readonly sandbox: string }, null>;
  readonly "snapshot.remove": Call<{ readonly digest: string }, null>;
  readonly "images.list": Call<Nothing, readonly ImageRow[]>;
  readonly "images.remove": Call<{ readonly reference: string }, null>;
  readonly "images.prune": Call<Nothing, PruneReport>;
  readonly "volumes.list": Call<Nothing, readonly VolumeRow[]>;
  readonly "volumes.remove": Call<Named, null>;
  readonly "volumes.prune": Call<Nothing, PruneReport>;
  readonly "templates.list": Call<Nothing, readonly TemplateRow[]>;
  readonly "templates.prune": Call<Nothing, PruneReport>;
  readonly "storage.usage": Call<
    Nothing,
    { readonly path: string; readonly kinds: readonly UsageRow[]; readonly totalBytes: number }
  >;
  readonly "storage.prune": Call<{ readonly dryRun: boolean }, PruneReport>;
}
export type CallName = keyof Calls;
