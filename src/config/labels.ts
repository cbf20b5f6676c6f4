import { checkLabel } from "./checks.ts";
import { pairsOf, type PairsInput } from "./pairs.ts";
import type { SettingType } from "./settings/setting.ts";

/** The keys are the user's: one may be called `constructor`. */
export type Labels = Readonly<Record<string, string>>;

export function hasLabel(labels: Labels, key: string, value: string): boolean {
  return Object.hasOwn(labels, key) && labels[key] === value;
}

export const labelsType: SettingType<Labels, PairsInput> = {
  form: { kind: "structure" },
  values: "keys with values",
  check: (name, input) =>
    Object.fromEntries(pairsOf(name, input).map(([key, value]) => checkLabel(key, value))),
  join: (earlier, later) => ({ ...earlier, ...later }),
};
