import { settledSetting } from "./setting.ts";
import { flag } from "./types.ts";

/** What a sandbox can reach. */
export const networkSettings = {
  disableNetwork: settledSetting({
    type: flag,
    meaning: "no network interface in the guest",
    default: false,
    inspect: "Network disabled",
    change: "never",
  }),
} as const;
