import type { NamedMount } from "../../config/mounts/volume-mount.ts";
import { checkVolumeConfig, type VolumeConfig } from "../../config/volumes/volume-config.ts";
import { InvalidConfigError, VolumeAlreadyExistsError } from "../../errors/index.ts";
import type { Home } from "../home.ts";
import type { VolumePaths } from "../volumes/volume-paths.ts";
import { findIfThere, volumeNotFound } from "../volumes/volumes.ts";

/** A volume that is mounted. */
export interface MountedVolume {
  readonly kind: VolumeConfig["kind"];
  /** Null for one that is to be made. */
  readonly paths: VolumePaths | null;
}

/** A volume that is to be made, and by which mount. */
interface Planned {
  readonly config: VolumeConfig;
  readonly mount: NamedMount;
}

/** The named volumes of a new sandbox, one after the other: two mounts may have one volume. */
export class NamedMounts {
  readonly #home: Home;
  readonly #planned = new Map<string, Planned>();

  constructor(home: Home) {
    this.#home = home;
  }

  /** The volumes that are to be made. */
  get missing(): VolumeConfig[] {
    return [...this.#planned.values()].map(({ config }) => config);
  }

  /** @throws VolumeNotFoundError, VolumeAlreadyExistsError; InvalidConfigError for a volume that is another one than is asked for */
  async check(mount: NamedMount): Promise<MountedVolume> {
    const { name } = mount;
    const found = await findIfThere(this.#home, name);
    if (found === null) {
      const { kind } = this.#plan(mount);
      requireApplicable(mount, kind);
      return { kind, paths: null };
    }
    if (mount.namedMode === "create") {
      throw new VolumeAlreadyExistsError(`a volume named ${name} exists already`, {
        hint: "Use it as it is: mode ensure-exists, or existing.",
      });
    }
    const { record, paths } = found;
    requireAgreeing(mount, record, `the volume ${name} is there, but not as it is asked for`);
    requireApplicable(mount, record.kind);
    return { kind: record.kind, paths };
  }

  #plan(mount: NamedMount): VolumeConfig {
    const { name, namedMode = "existing", namedKind, sizeMib, quotaMib, guest } = mount;
    if (namedMode === "existing") throw volumeNotFound(name);
    const planned = this.#planned.get(name);
    if (planned !== undefined) {
      const other = planned.mount;
      if (namedMode === "create" && other.namedMode === "create") {
        throw new InvalidConfigError(
          `the volume ${name} is to be made for both ${other.guest} and ${guest}`,
          {
            hint: "Say ensure-exists for one of them.",
          },
        );
      }
      const what = `the volume ${name} is to be made for ${other.guest}, but not as ${guest} asks for it`;
      requireAgreeing(mount, planned.config, what);
      return planned.config;
    }
    const config = checkVolumeConfig({
      name,
      ...(namedKind === undefined ? {} : { kind: namedKind }),
      ...(sizeMib === undefined ? {} : { sizeMib }),
      ...(quotaMib === undefined ? {} : { quotaMib }),
    });
    this.#planned.set(name, { config, mount });
    return config;
  }
}

/** A volume has to be as was said, as far as it was said. */
function requireAgreeing(
  { namedKind, sizeMib, quotaMib }: NamedMount,
  is: Pick<VolumeConfig, "kind" | "capacityMib" | "quotaMib">,
  what: string,
): void {
  const differences = [
    ["kind", namedKind, is.kind],
    ["size in MiB", sizeMib, is.capacityMib],
    ["quota in MiB", quotaMib, is.quotaMib],
  ] as const;
  for (const [field, wanted, actual] of differences) {
    if (wanted === undefined || wanted === actual) continue;
    throw new InvalidConfigError(`${what}: its ${field} is ${actual ?? "none"}, not ${wanted}`, {
      hint: "Leave that out, or use another volume.",
    });
  }
}

const ofDirectories = ["statVirtualization", "hostPermissions", "overrideUid", "overrideGid"] as const;

/** A disk has a file system of its own. */
function requireApplicable(mount: NamedMount, kind: VolumeConfig["kind"]): void {
  if (kind !== "disk") return;
  const said = ofDirectories.find((key) => mount[key] !== undefined);
  if (said === undefined) return;
  const setter = said.startsWith("override") ? "owner" : said;
  throw new InvalidConfigError(
    `${setter} has no meaning for the mount at ${mount.guest}: the volume ${mount.name} is a disk`,
    { hint: "It is for directories: owners and modes in a disk are its own. Leave it out." },
  );
}
