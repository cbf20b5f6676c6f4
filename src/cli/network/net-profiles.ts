import { nearest } from "../../config/keys/nearest.ts";
import {
  NetworkPolicy,
  NetworkProfiles,
  type NetworkProfile,
} from "../../config/network/policy/network-policy.ts";
import { UsageError } from "../output/usage-error.ts";

const alone = { all: NetworkPolicy.allowAll, none: NetworkPolicy.none } as const;
const words = [...NetworkProfiles, ...Object.keys(alone)];

/**
 * A comma list of `public`, `private` and `host`, or `all` or `none` alone.
 *
 * @throws UsageError
 */
export function parseProfiles(text: string): NetworkPolicy {
  const names = text
    .split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "");
  if (names.length === 0)
    throw new UsageError("a profile is expected, not nothing.", `Profiles: ${words.join(", ")}`);
  const profiles = names.map((name): NetworkProfile | "all" | "none" => {
    const known = [...NetworkProfiles, "all" as const, "none" as const].find((word) => word === name);
    if (known !== undefined) return known;
    const meant = nearest(name, words);
    throw new UsageError(
      `"${name}" is no profile${meant === null ? "" : `: did you mean "${meant}"?`}`,
      `Profiles: ${words.join(", ")}`,
    );
  });
  const single = profiles.find((profile) => profile === "all" || profile === "none");
  if (single === undefined) return NetworkPolicy.fromProfiles(profiles as readonly NetworkProfile[]);
  if (new Set(profiles).size === 1) return alone[single]();
  throw new UsageError(`"${single}" stands alone.`, `Write --net ${single}, or profiles without it.`);
}
