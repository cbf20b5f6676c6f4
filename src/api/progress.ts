/** A stage of starting a sandbox has begun: `prepare`, `boot`, `guest`. elapsedMs counts from the start of the supervisor. */
export interface StartProgressEvent {
  readonly stage: string;
  readonly elapsedMs: number;
}

export interface StartObserver {
  readonly onProgress?: ((event: StartProgressEvent) => void) | undefined;
  /** Something the user should know once, such as a fallback to software emulation. By default a process warning. */
  readonly onNotice?: ((message: string) => void) | undefined;
}
