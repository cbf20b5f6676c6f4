/** What `Image` needs of the image store, in one module so that it is loaded at once and only when it is asked for. */
export { loadImages } from "../../image/archive/load.ts";
export { saveImages } from "../../image/archive/save.ts";
export { collectGarbage } from "../../image/store/garbage.ts";
export { imageStore, prepareStore } from "../../image/store/layout.ts";
export { inspectImage, listImages, pruneImages, removeImage } from "../../image/store/manage.ts";
