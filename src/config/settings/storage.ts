import { PullPolicies } from "../enums.ts";
import { mountsType } from "../mounts/mounts-setting.ts";
import { registryType } from "../registry-config.ts";
import { patchesType } from "../patches/patches-type.ts";
import { rootDiskType } from "../root-disk-builder.ts";
import { imageType } from "../rootfs-source.ts";
import { creationSetting, derivedSetting, requiredSetting, setting, settledSetting } from "./setting.ts";
import { choice, text } from "./types.ts";

/** What a sandbox's root file system is, and where it comes from. */
export const storageSettings = {
  image: requiredSetting({
    type: imageType,
    meaning: "what the root file system is made from, see [images](images.md)",
    setters: ["image", "imageWith"],
    otherwise: "required",
    inspect: "Image",
    change: "never",
  }),
  /** A name, a path or a digest; it stands in the image's place. */
  fromSnapshot: setting({
    type: text,
    meaning: "the [snapshot](snapshots.md) that it begins with, instead of an image",
    default: null,
    cli: {
      flag: "fromSnapshot",
      placeholder: "NAME|PATH",
      description: "Begin with a snapshot, instead of an image",
    },
    inspect: "Snapshot",
    change: "never",
  }),
  /** A size in MiB, or what kind and how large. */
  rootDisk: derivedSetting({
    type: rootDiskType,
    meaning: "what the guest writes to, over an image",
    otherwise: "4096 MiB, managed",
    global: "sandbox_defaults.oci.root_disk",
    cli: {
      flag: "rootDisk",
      placeholder: "DISK",
      description:
        "What the guest writes to, over the image: a size such as 8G, or tmpfs[:SIZE] for memory (4G)",
    },
    inspect: "Root disk",
    change: "restart",
  }),
  /** Each with its place in the guest. */
  mounts: settledSetting({
    type: mountsType,
    meaning: "volumes, memory and disks in the guest; in a configuration object also `volumes`",
    setters: ["volume"],
    default: [],
    cli: {
      flag: "volume",
      short: "v",
      placeholder: "SRC:DEST[:OPTS]",
      description:
        "Mount a named volume, or a path of this computer (/, ./, ~/), at DEST; OPTS such as ro. Repeatable",
    },
    inspect: "Mounts",
    change: "restart",
  }),
  /** Applied once, when the sandbox is created. */
  patches: settledSetting({
    type: patchesType,
    meaning: "changes of the root file system before the first command",
    setters: ["patch", "addPatch"],
    default: [],
    inspect: "Patches",
    change: "never",
  }),
  pullPolicy: setting({
    type: choice(PullPolicies),
    meaning: "when the image is fetched",
    default: "if-missing",
    cli: {
      flag: "pull",
      placeholder: "POLICY",
      description: `When to fetch the image: ${PullPolicies.join(", ")} (if-missing)`,
    },
    inspect: "Pull policy",
    change: "never",
  }),
  registry: creationSetting({
    type: registryType,
    meaning: "how the image's registry is spoken to",
    default: null,
    otherwise: "`registries` of config.json",
    change: "never",
  }),
} as const;
