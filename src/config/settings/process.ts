import { envType, scriptsType } from "../env.ts";
import { labelsType } from "../labels.ts";
import { rlimitsType } from "../rlimits.ts";
import { derivedSetting, setting, settledSetting } from "./setting.ts";
import { guestPath, hostname, program, signal, text, words } from "./types.ts";

/** What runs in a sandbox, what it finds there and what it is known by. */
export const processSettings = {
  entrypoint: setting({
    type: words,
    meaning: "the program before the command",
    default: null,
    image: "whole",
    cli: {
      flag: "entrypoint",
      placeholder: "PROGRAM",
      description: "Program put before the command, instead of the image's; empty for none",
    },
    inspect: "Command",
    change: "never",
  }),
  cmd: setting({
    type: words,
    meaning: "the command where none is given; an empty list clears the image's",
    default: null,
    image: "whole",
    inspect: "Command",
    change: "never",
  }),
  workdir: setting({
    type: guestPath,
    meaning: "working directory of commands; made at the start where it is missing",
    default: null,
    otherwise: "/",
    image: "whole",
    global: "sandbox_defaults.workdir",
    cli: { flag: "workdir", short: "w", placeholder: "PATH", description: "Working directory in the guest" },
    inspect: "Workdir",
    change: "next command",
  }),
  shell: setting({
    type: program,
    meaning: "the shell of `shell()` and `attachShell()`",
    default: "/bin/sh",
    global: "sandbox_defaults.shell",
    cli: { flag: "shell", placeholder: "PATH", description: "Shell of the guest (/bin/sh)" },
    inspect: "Shell",
    change: "never",
  }),
  user: setting({
    type: text,
    meaning: "the user of commands: `name`, `uid`, `user:group`, `uid:gid`",
    default: null,
    otherwise: "root",
    image: "whole",
    cli: {
      flag: "user",
      short: "u",
      placeholder: "USER",
      description: "User of the commands: name, uid, user:group or uid:gid",
    },
    inspect: "User",
    change: "never",
  }),
  hostname: derivedSetting({
    type: hostname,
    meaning: "host name in the guest",
    otherwise: "from the name",
    cli: {
      flag: "hostname",
      short: "H",
      placeholder: "NAME",
      description: "Host name in the guest (the sandbox's name)",
    },
    inspect: "Hostname",
    change: "never",
  }),
  env: settledSetting({
    type: envType,
    meaning: "environment of every command",
    setters: ["env", "envs"],
    default: [],
    image: "by key",
    cli: {
      flag: "env",
      short: "e",
      placeholder: "NAME[=VALUE]",
      description: "Environment variable; without a value, it is copied from here. Repeatable",
    },
    inspect: "Environment",
    change: "next command",
  }),
  labels: settledSetting({
    type: labelsType,
    meaning: "to select sandboxes by",
    setters: ["label", "labels"],
    default: {},
    image: "by key",
    cli: {
      flag: "label",
      placeholder: "KEY[=VALUE]",
      description: "Label, to select sandboxes by. Repeatable",
    },
    inspect: "Labels",
    change: "live",
  }),
  scripts: settledSetting({
    type: scriptsType,
    meaning: "executable files in `/.msb/scripts`, which is first in the `PATH`",
    setters: ["script", "scripts"],
    default: [],
    cli: {
      flag: "script",
      placeholder: "NAME=TEXT",
      description: "Script /.msb/scripts/NAME, on the guest's PATH. Repeatable",
    },
    inspect: "Scripts",
    change: "never",
  }),
  rlimits: settledSetting({
    type: rlimitsType,
    meaning: "limits of every command",
    setters: ["rlimit", "rlimitRange"],
    default: [],
    inspect: "Limits",
    change: "never",
  }),
  /** By name, `SIGINT`, or number. */
  stopSignal: setting({
    type: signal,
    meaning: "what every process gets first at a stop",
    default: null,
    otherwise: "SIGTERM",
    image: "whole",
    inspect: "Stop signal",
    change: "never",
  }),
} as const;
