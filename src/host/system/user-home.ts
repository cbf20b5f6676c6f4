import { homedir } from "node:os";

/** @returns null when HOME is not set and the system does not know the user, as it often is in a container */
export function userHomeDirectory(): string | null {
  try {
    const directory = homedir();
    return directory === "" ? null : directory;
  } catch {
    return null;
  }
}
