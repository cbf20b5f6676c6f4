import { HostShutdowns } from "../enums.ts";
import { creationSetting, setting, settledSetting } from "./setting.ts";
import { choice, flag, milliseconds, seconds } from "./types.ts";

/** How a sandbox comes to be and ends. */
export const lifecycleSettings = {
  maxDurationSecs: setting({
    type: seconds,
    meaning: "ends it so long after each boot",
    setters: ["maxDuration"],
    default: null,
    cli: {
      flag: "maxDuration",
      placeholder: "DURATION",
      description: "Stop the sandbox this long after its start: 30s, 5m, 2h",
    },
    inspect: "Max duration",
    change: "never",
  }),
  idleTimeoutSecs: setting({
    type: seconds,
    meaning: "ends it when for so long no command ran and nobody called `touch()`",
    setters: ["idleTimeout"],
    default: null,
    cli: {
      flag: "idleTimeout",
      placeholder: "DURATION",
      description: "Stop the sandbox when nothing ran in it for this long",
    },
    inspect: "Idle timeout",
    change: "never",
  }),
  idlePauseSecs: setting({
    type: seconds,
    meaning:
      "pauses it when it was idle for so long; the next call, or connection to a published port, wakes it",
    setters: ["idlePause"],
    default: null,
    cli: {
      flag: "idlePause",
      placeholder: "DURATION",
      description: "Pause the sandbox when nothing ran in it for this long; the next use wakes it",
    },
    inspect: "Idle pause",
    change: "never",
  }),
  onHostShutdown: setting({
    type: choice(HostShutdowns),
    meaning: "what becomes of it when its process gets SIGTERM, as when the host shuts down",
    default: "stop",
    cli: {
      flag: "onHostShutdown",
      placeholder: "HOW",
      description: `When this computer shuts down: ${HostShutdowns.join(", ")} (stop)`,
    },
    inspect: "Host shutdown",
    change: "never",
  }),
  ephemeral: settledSetting({
    type: flag,
    meaning: "its state is removed as soon as it has ended",
    default: false,
    inspect: "Ephemeral",
    change: "never",
  }),
  /** `create` then behaves as `createDetached`. */
  detached: creationSetting({
    type: flag,
    meaning: "`create()` then behaves as `createDetached()`",
    default: false,
    change: "never",
  }),
  replace: creationSetting({
    type: flag,
    meaning: "stops and removes a sandbox of the same name first",
    default: false,
    cli: { flag: "replace", description: "Stop and remove a sandbox that has the name already" },
    change: "never",
  }),
  /** Grace of the one that is replaced, ms; by default 10000. */
  replaceWithTimeoutMs: creationSetting({
    type: milliseconds,
    meaning: "how long the one that is replaced may take to stop; 0 kills it",
    setters: ["replaceWithTimeout"],
    default: 10_000,
    cli: {
      flag: "replaceWithTimeout",
      placeholder: "DURATION",
      description: "As --replace, with another time for its orderly stop (10s; 0 = kill)",
    },
    change: "never",
  }),
} as const;
