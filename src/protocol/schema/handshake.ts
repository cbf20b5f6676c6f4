import { fromAgent, toAgent, toClient, toSupervisor, type Area } from "./types.ts";

/** Opening a hop, and making a guest the sandbox. All of it on stream 0, which belongs to the connection. */
export const handshake = {
  enums: {
    /** How a sandbox was started: from a template beside its supervisor, from a template, or from its kernel. */
    StartRoute: ["prelaunched", "restored", "cold", "continued"],
  },
  structs: {
    /** The guest's end of its cable. `mac` has six bytes; addresses 4 or 16, one of a family at most, each with its gateway. */
    GuestNetwork: { mac: "bytes", mtu: "u32", addresses: { list: { struct: "GuestAddress" } } },
    GuestAddress: { address: "bytes", prefix: "u8", gateway: "bytes" },
    /**
     * Whom the guest is to believe beside those that its image does. `authority`: of the certificates that it is shown in the place of
     * servers' own; not there: none is. `hostRoots`: what the host believes. All are certificates in PEM, each with a newline at its end.
     */
    GuestTrust: { authority: { optional: "str" }, hostRoots: { list: "str" } },
    Script: { name: "str", content: "bytes" },
    /**
     * What is mounted at a path of the guest, which is made where it is missing: exactly one of `memory`, `disk` and `files` is there. A
     * read-only one is so on the host, too.
     */
    GuestMount: {
      path: "str",
      readOnly: "bool",
      noExec: "bool",
      noSuid: "bool",
      noDevices: "bool",
      memory: { optional: { struct: "MemoryMount" } },
      disk: { optional: { struct: "DiskMount" } },
      files: { optional: { struct: "HostFiles" } },
    },
    /** A tmpfs; 0 = as large as the kernel makes it. */
    MemoryMount: { sizeMib: "u32" },
    /** `fills`: its file system is grown to the size of the disk. */
    DiskMount: { fileSystem: { struct: "DiskFileSystem" }, fills: "bool" },
    /** A directory of the host, or one file: what the host serves next on the port of files, in the order of these. */
    HostFiles: { isFile: "bool" },
    /** Exactly one of its fields is there: what the guest's `/` is made from. */
    Root: {
      layered: { optional: { struct: "LayeredRoot" } },
      shared: { optional: { struct: "SharedRoot" } },
      disk: { optional: { struct: "DiskFileSystem" } },
    },
    /**
     * A lower that stays as it is and an upper that takes what the guest writes: an ext4 disk, which is grown to the size of
     * its device, or, without `upperSerial`, memory of at most `upperSizeMib`.
     */
    LayeredRoot: {
      lower: { struct: "DiskFileSystem" },
      upperSerial: { optional: "str" },
      upperSizeMib: "u32",
    },
    /** A directory of the host over virtio-9p, written in place. */
    SharedRoot: { tag: "str" },
    /**
     * Block devices are found by the serial number given to QEMU, never by their order. `fsType` as mount(2) wants it; empty =
     * the agent finds out.
     */
    DiskFileSystem: { serial: "str", fsType: "str" },
  },
  messages: {
    AgentHello: {
      tag: 1,
      routes: fromAgent,
      doc: "The agent's first frame, once it can answer. Nothing is mounted yet.",
      fields: { protocolVersion: "u32", agentVersion: "str", kernelRelease: "str" },
    },
    Seed: {
      tag: 7,
      routes: toAgent,
      doc: "What no two guests may share, mixed into the kernel's pool before anything else (RNDADDENTROPY, RNDRESEEDCRNG). Sent first to every guest: one that was restored from a template has the random pool of all others.",
      fields: { protocolVersion: "u32", entropy: "bytes" },
    },
    Clock: {
      tag: 8,
      routes: toAgent,
      doc: "The time of day, since 1970 in UTC, as it was when this message was written.",
      fields: { seconds: "u53", nanoseconds: "u32" },
    },
    Mount: {
      tag: 9,
      routes: toAgent,
      doc: "Makes the guest's root file system, and mounts the kernel's own in it. Answered by Mounted or BootFailed. A template of an image is saved after it.",
      fields: {
        root: { struct: "Root" },
        tmpSizeMib: "u32",
        /** Likely to be run soon: their files are read into the guest's memory. Those that are not there are passed over. */
        programs: { list: "str" },
        /** As it is likely to be: a Boot that says the same has nothing to change. */
        network: { optional: { struct: "GuestNetwork" } },
        /** Installed at once, where it is likely to be what Boot says. */
        trust: { optional: { struct: "GuestTrust" } },
      },
    },
    Mounted: { tag: 20, routes: fromAgent, doc: "The answer to Mount.", fields: {} },
    Boot: {
      tag: 2,
      routes: toAgent,
      doc: "Everything else that makes the guest this sandbox and no other. Comes after Seed and Mount; answered by Ready or BootFailed.",
      fields: {
        hostname: "str",
        /** Made where it is missing, with mode 0755; BootFailed with step "workdir" when it cannot be. Empty = nothing to make. */
        workdir: "str",
        /** In the order of mounting. */
        mounts: { list: { struct: "GuestMount" } },
        scripts: { list: { struct: "Script" } },
        /** Not there: there is no interface but the loopback one, or it is left as it is. */
        network: { optional: { struct: "GuestNetwork" } },
        /** Installed before anything of the image runs. Not there: nobody more than its image believes. */
        trust: { optional: { struct: "GuestTrust" } },
      },
    },
    Ready: {
      tag: 3,
      routes: fromAgent,
      doc: "The root file system is mounted and commands can be run.",
      fields: {},
    },
    GoOn: {
      tag: 41,
      routes: toAgent,
      doc: "A guest that stands still goes on as the sandbox that it is. With `elsewhere` in another machine than before: its connections to the outside are reset.",
      fields: { elsewhere: "bool" },
    },
    BecomeCopy: {
      tag: 42,
      routes: toAgent,
      doc: "A guest that stands still is a copy of the one that was asked to: it gets a name and an id of its own, and goes on, unless it is to stand still until it is told again. Comes after Seed; answered by Ready or BootFailed. The names are those of the sandboxes, for /.msb/fork.json; the signal is for all programs that have a handler for it, 0 for none.",
      fields: { hostname: "str", name: "str", source: "str", signal: "u8", goesOn: "bool" },
    },
    BootFailed: {
      tag: 4,
      routes: fromAgent,
      doc: "The guest could not become the sandbox: the answer to a Seed, Mount or Boot that failed. `step` names what was tried; errno 0 when no system call failed.",
      fields: { step: "str", errno: "i32", message: "str" },
    },
    ClientHello: {
      tag: 5,
      routes: toSupervisor,
      doc: "A client's first frame. A sandboxId other than the supervisor's is answered with Failure code sandboxReplaced.",
      fields: { protocolVersion: "u32", sandboxId: "str" },
    },
    SupervisorHello: {
      tag: 6,
      routes: toClient,
      doc: "The answer to ClientHello.",
      fields: { protocolVersion: "u32", sandboxId: "str", name: "str", state: { enum: "SandboxState" } },
    },
    StartProgress: {
      tag: 70,
      routes: toClient,
      doc: "To the owner: a stage of starting has begun; elapsedMs counts from the supervisor's own start.",
      fields: { stage: "str", elapsedMs: "u32" },
    },
    Notice: {
      tag: 71,
      routes: toClient,
      doc: "To the owner: something the user should be told once, such as a fallback to software emulation.",
      fields: { message: "str" },
    },
    Started: {
      tag: 72,
      routes: toClient,
      doc: "To the owner: the sandbox is running. `reason` says for a person how it was started and why not in a quicker way; elapsedMs counts from the supervisor's own start.",
      fields: { accelerator: "str", route: { enum: "StartRoute" }, reason: "str", elapsedMs: "u32" },
    },
  },
} as const satisfies Area;
