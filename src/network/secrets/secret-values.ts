import type { MaybePromise } from "../http/inspector.ts";

/** Values of secrets, by the variable of the guest's environment that has the placeholder. Only the supervisor has them. */
export interface SecretValues {
  /**
   * @param host that it is sent to, in lower case
   * @returns null: there is none now, or it was removed; what needs it is refused
   */
  value(envVar: string, host: string): MaybePromise<string | null>;
  /** The host has answered 401 to it: what is fetched for a time is fetched anew at the next use. Others stay. */
  refused(envVar: string, host: string): void;
}
