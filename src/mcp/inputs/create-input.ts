import * as v from "valibot";
import type { ToldElsewhere } from "../call/input-schema.ts";
import {
  filled,
  flag,
  hostPath,
  optionalText,
  optionalWhole,
  snapshotName,
  text,
  textRecord,
  texts,
  whole,
} from "./fields.ts";

const rootfs = v.pipe(
  v.strictObject({
    oci: optionalText("The same as image."),
    bind: v.optional(hostPath),
    disk: v.optional(
      v.strictObject({
        path: hostPath,
        format: v.optional(v.picklist(["raw", "qcow2", "vmdk"])),
        fstype: optionalText("Such as ext4."),
      }),
    ),
    snapshot: v.optional(snapshotName),
  }),
  v.description("Root file system, instead of image: exactly one of these."),
);

const rlimit = v.strictObject({
  resource: text("As of setrlimit(2), such as nofile."),
  soft: v.number(),
  hard: v.optional(v.number()),
});

export const rlimits = v.optional(v.pipe(v.array(rlimit), v.description("Resource limits of commands.")));

const process = v.strictObject({
  env: textRecord("Environment of every command. Put no secrets here; use secrets."),
  workdir: optionalText("Working directory of commands."),
  user: optionalText("User of commands: name, uid, user:group or uid:gid."),
  shell: optionalText("Shell in the guest, /bin/sh by default."),
  hostname: optionalText("Host name in the guest."),
  entrypoint: texts("Program before the command, instead of the image's."),
  cmd: texts("Command where none is given, instead of the image's."),
  scripts: textRecord("Executable files by their names, on the guest's PATH."),
  rlimits,
});

const mount = v.strictObject({
  guestPath: text("Where it is mounted: an absolute path in the guest."),
  bind: v.optional(v.pipe(hostPath, v.description("A directory or file of the host."))),
  volume: optionalText("A named volume, which is made when there is none."),
  tmpfs: flag("Memory of the guest."),
  disk: v.optional(v.pipe(hostPath, v.description("A disk image of the host."))),
  readonly: flag("The guest cannot write to it."),
  overlay: flag("Of bind: what the guest writes stays beside it, and not in it."),
  sizeMib: optionalWhole(1, 1 << 30, "Of memory, MiB."),
  quotaMib: optionalWhole(1, 1 << 30, "How much the guest may add to a directory, MiB."),
});

const patch = v.strictObject({
  kind: v.picklist(["text", "append", "mkdir", "remove", "symlink", "copyFile", "copyDir"]),
  path: optionalText("Absolute path in the guest; of text, append, mkdir, remove."),
  content: optionalText("Of text and append."),
  src: v.optional(hostPath),
  dst: optionalText("Absolute path in the guest; of copyFile and copyDir."),
  target: optionalText("Of symlink: where it leads."),
  link: optionalText("Of symlink: its path in the guest."),
  mode: optionalWhole(0, 0o7777, "Permissions as a number: 493 is 0755."),
  replace: flag("Take the place of what is there."),
});

const port = v.strictObject({
  hostPort: whole(0, 65_535, "Port of the host; 0 takes a free one."),
  guestPort: whole(1, 65_535, "Port of the guest."),
  bindAddress: optionalText("Address of the host; others than 127.0.0.1 need the server's permission."),
  protocol: v.optional(v.picklist(["tcp", "udp"])),
});

const network = v.strictObject({
  disabled: flag("No network at all."),
  ports: v.optional(v.pipe(v.array(port), v.description("Ports of the guest that the host offers."))),
  maxConnections: optionalWhole(1, 65_536, "Connections at a time."),
  trustHostCas: flag("The guest trusts the authorities that the host trusts."),
  ipv4Pool: optionalText("Network from which the guest's address is taken."),
  ipv6Pool: optionalText("The same for IPv6."),
  dns: v.optional(
    v.strictObject({
      allowRebind: flag("Pass on answers that name private addresses."),
      nameservers: texts("Servers that are asked, instead of the host's."),
      queryTimeoutMs: optionalWhole(1, 600_000, "How long an answer is waited for."),
    }),
  ),
  tls: v.optional(
    v.strictObject({
      ports: v.optional(v.array(whole(1, 65_535, "A port."))),
      bypassDomains: texts("Names whose connections are not looked into."),
      blockQuic: flag("No QUIC, which cannot be looked into."),
      caCertPath: v.optional(hostPath),
      caKeyPath: v.optional(hostPath),
      upstreamCaCertPaths: v.optional(v.array(hostPath)),
    }),
  ),
});

const secret = v.strictObject({
  envVar: text("Variable of the guest, which gets a placeholder, never the value."),
  value: v.optional(v.pipe(filled, v.description("The value. One of value and valueEnv."))),
  valueEnv: optionalText(
    "Variable of the server's environment that has the value; needs the server's permission.",
  ),
  allowedHost: text("Where the value may be sent: api.example.com, *.example.com."),
});

const lifecycle = v.strictObject({
  detached: flag("It goes on when the client goes. By default it ends and is removed then."),
  ephemeral: flag("Its state is removed when it has ended. By default so, unless it is detached."),
  replace: flag("Stop and remove a sandbox that has the name already."),
  replaceTimeoutMs: optionalWhole(0, 600_000, "How long that one may take to stop."),
  maxDurationSecs: optionalWhole(1, 31_536_000, "Ends it so long after its start."),
  idleTimeoutSecs: optionalWhole(1, 31_536_000, "Ends it when for so long nothing ran."),
  logLevel: v.optional(v.picklist(["trace", "debug", "info", "warn", "error"])),
});

/** What sandbox_create and sandbox_run take of a sandbox. */
export const createFields = {
  image: optionalText(
    "Container image, such as python:3.12; by default localhost/base, a small one with BusyBox.",
  ),
  rootfs: v.optional(rootfs),
  resources: v.optional(
    v.strictObject({
      cpus: optionalWhole(1, 16, "Virtual processors (1)."),
      memoryMib: optionalWhole(128, 1 << 20, "Memory (512)."),
    }),
  ),
  labels: textRecord("To select sandboxes by."),
  process: v.optional(process),
  mounts: v.optional(
    v.pipe(
      v.array(mount),
      v.description("What is mounted in the guest: each exactly one of bind, volume, tmpfs and disk."),
    ),
  ),
  patches: v.optional(
    v.pipe(v.array(patch), v.description("Changes of the root file system before the first command.")),
  ),
  network: v.optional(network),
  secrets: v.optional(
    v.pipe(v.array(secret), v.description("Secrets that the host puts into requests to allowed hosts.")),
  ),
  lifecycle: v.optional(lifecycle),
};

/** Those of them that sandbox_create tells, and sandbox_run need not: what a single command seldom needs. */
export const seldomFields: ToldElsewhere = {
  tool: "sandbox_create",
  fields: ["rootfs", "process", "mounts", "patches", "network", "secrets", "lifecycle"],
};

export type CreateInput = v.InferOutput<v.StrictObjectSchema<typeof createFields, undefined>>;
