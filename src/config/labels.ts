import { checkLabel } from "./checks.ts";
import type { SettingType } from "./settings/setting.ts";

export type Labels = Readonly<Record<string, string>>;

export const labelsType: SettingType<Labels, Labels> = {
  form: { kind: "structure" },
  values: "keys with values",
  check: (_name, input) => {
    for (const [key, value] of Object.entries(input)) checkLabel(key, value);
    return { ...input };
  },
  join: (earlier, later) => ({ ...earlier, ...later }),
};
