/** What SSH asks of a sandbox. The SDK's own calls do it: `src/api/ssh/guest-door.ts`. */

/** What a command says. */
export type GuestEvent =
  | { readonly kind: "started" }
  | { readonly kind: "stdout" | "stderr"; readonly data: Buffer }
  | { readonly kind: "exited"; readonly code: number };

/** A command that runs; an ExecHandle is one. */
export interface GuestCommand {
  recv(): Promise<GuestEvent | null>;
  takeStdin(): { write(data: Uint8Array): Promise<void>; close(): Promise<void> } | null;
  /** Waits for its end, and drops what it prints from now on. */
  wait(): Promise<unknown>;
  /** To its process group; by its Linux number. */
  signal(number: number): Promise<void>;
  resize(rows: number, cols: number): Promise<void>;
  /** It goes on without us. */
  release(): Promise<void>;
  readonly exitSignal: number | null;
}

export interface GuestTerminal {
  readonly rows: number;
  readonly cols: number;
  readonly type: string;
}

export interface GuestCommandLine {
  readonly program: string;
  readonly args: readonly string[];
  readonly user: string;
  readonly cwd: string;
  readonly env: ReadonlyMap<string, string>;
  /** null: pipes. */
  readonly terminal: GuestTerminal | null;
  /** Whether what it prints goes to the sandbox's log. */
  readonly logged: boolean;
}

/** A sandbox, as seen from a door. */
export interface SshGuest {
  readonly name: string;
  readonly shell: string;
  /** @throws ExecFailedError when it cannot be started */
  start(command: GuestCommandLine): Promise<GuestCommand>;
  /** `/etc/passwd`; empty when there is none. */
  readUsers(): Promise<string>;
  /** The path in the guest of a program that is `--sftp` and `--connect HOST PORT`; put there when it is not. */
  helper(): Promise<string>;
  /** Resolves when the sandbox has ended, or the signal says that nobody asks any more. */
  ended(signal: AbortSignal): Promise<void>;
}
