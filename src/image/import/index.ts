export * from "./directory.ts";
export * from "./import-layers.ts";
export { type LayerSource } from "./layer-source.ts";
export * from "./limits.ts";
