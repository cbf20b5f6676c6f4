import { rm } from "node:fs/promises";

/**
 * What becomes of something that a killed process has left, and that nobody will ever use: usually it is removed. Whoever sweeps decides
 * what is such a thing, and has whatever lock keeps others from it.
 *
 * @param path a file or a directory; nothing may be there
 */
export type Discard = (path: string) => Promise<void>;

/** @throws the system's error */
export const removeLeftover: Discard = async (path) => {
  await rm(path, { recursive: true, force: true });
};
