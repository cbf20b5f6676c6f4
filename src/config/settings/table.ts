import { lifecycleSettings } from "./lifecycle.ts";
import { networkSettings } from "./network.ts";
import { observationSettings } from "./observation.ts";
import { processSettings } from "./process.ts";
import { resourceSettings } from "./resources.ts";
import type { AnySetting } from "./setting.ts";
import { storageSettings } from "./storage.ts";

type Resources = typeof resourceSettings;
type Process = typeof processSettings;
type Storage = typeof storageSettings;
type Lifecycle = typeof lifecycleSettings;
type Observation = typeof observationSettings;
type Network = typeof networkSettings;

/** Every setting of a sandbox, by its key in the configuration object. A group a file. */
export interface Settings extends Resources, Process, Storage, Lifecycle, Observation, Network {}

export const settings: Settings = {
  ...resourceSettings,
  ...processSettings,
  ...storageSettings,
  ...lifecycleSettings,
  ...observationSettings,
  ...networkSettings,
};

export type SettingKey = keyof Settings;

/** The table as a list, in the order of the help, `msb inspect` and the documentation. */
export const settingEntries = Object.entries(settings) as readonly (readonly [SettingKey, AnySetting])[];

/** The builder's setters of a setting. */
export function settersOf(key: string, setting: AnySetting): readonly string[] {
  return setting.setters ?? [key];
}
