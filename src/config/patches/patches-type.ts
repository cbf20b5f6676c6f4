import { InvalidConfigError } from "../../errors/index.ts";
import { checkList } from "../checks.ts";
import type { SettingType } from "../settings/setting.ts";
import { checkPatch } from "./check-patch.ts";
import type { Patch, PatchConfig } from "./patch.ts";

/** The sandbox's record has it, and is read whole. */
const longestContentBytes = 64 * 1024 * 1024;

export const patchesType: SettingType<readonly Patch[], readonly PatchConfig[]> = {
  form: { kind: "structure" },
  values: "see [patches](patches.md)",
  check: (name, input) =>
    join(
      [],
      checkList(name, input).map((patch, index) => checkPatch(`patches[${index}]`, patch as PatchConfig)),
    ),
  join,
};

function join(earlier: readonly Patch[], later: readonly Patch[]): Patch[] {
  const patches = [...earlier, ...later];
  const bytes = patches.reduce(
    (sum, patch) => sum + ("content" in patch ? Buffer.byteLength(patch.content) : 0),
    0,
  );
  if (bytes <= longestContentBytes) return patches;
  throw new InvalidConfigError(
    `the contents of the patches are ${bytes} bytes together; at most ${longestContentBytes} are allowed`,
    { hint: "Put them into files, and use copyFile or copyDir, which have no limit." },
  );
}
