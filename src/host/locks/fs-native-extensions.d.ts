/** The part of the package that is used here; it ships no types. Locks are OFD locks on Linux, flock on macOS. */
declare module "fs-native-extensions" {
  export function tryLock(
    fd: number,
    offset?: number,
    length?: number,
    options?: { readonly shared?: boolean },
  ): boolean;
  export function waitForLock(fd: number): Promise<void>;
  export function unlock(fd: number): void;
}
