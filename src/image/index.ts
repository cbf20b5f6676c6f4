/**
 * Container images. `pull.ts` is where to begin; `registry/` asks registries, `credentials/` finds out as whom, `store/`
 * keeps what was pulled, `archive/` reads and writes files of images, `import/` makes root file systems of layers.
 */
export * from "./archive/load.ts";
export * from "./archive/save.ts";
export * from "./credentials/credential.ts";
export * from "./credentials/login.ts";
export * from "./embedded.ts";
export type { ImageConfig } from "./image-config.ts";
export * from "./pull-progress.ts";
export * from "./pull.ts";
export * from "./reference.ts";
export { readCertificates, splitCertificates, type RegistryOptions } from "./registry/settings.ts";
export type { FindImageUses, ImageUse } from "./store/garbage.ts";
export { inspectImage, listImages, pruneImages, removeImage } from "./store/manage.ts";
export type { ImageDetails, ImageLayer, ImageSummary, PruneReport } from "./store/manage.ts";
