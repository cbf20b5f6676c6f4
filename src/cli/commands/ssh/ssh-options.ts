import { value } from "../../grammar/command.ts";
import { parseDurationMs } from "../../values/duration.ts";
import { filled } from "../../values/simple.ts";

/** What all sessions have. */
export const sessionOptions = {
  inactivityTimeout: value({
    placeholder: "DURATION",
    description:
      "End a connection on which nothing has passed for so long (10m, or as config.json says); 0: never",
    parse: (text) => Math.ceil(parseDurationMs(text) / 1000),
    negation: "Never end it for that",
    exclusive: true,
  }),
} as const;

export const userOption = value({
  short: "u",
  placeholder: "USER",
  description: "User in the guest: name, uid, user:group or uid:gid",
  parse: filled("a user"),
});

/** As the SDK takes it. @param given seconds, or false for never */
export function inactivitySecs(given: number | false | undefined): { inactivityTimeoutSecs?: number } {
  if (given === undefined) return {};
  return { inactivityTimeoutSecs: given === false ? 0 : given };
}
