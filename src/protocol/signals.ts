/**
 * Signals of the guest's Linux by name, the same on every processor that is supported; the host may have other numbers.
 *
 * Source: Linux 6.1, include/uapi/asm-generic/signal.h.
 */
const names = [
  ["HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE"],
  ["KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM", "STKFLT"],
  ["CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU"],
  ["XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS"],
].flat();

/** The C library keeps the first two real-time signals of the kernel, 32 and 33, for itself. */
const firstRealTime = 34;
const lastRealTime = 64;

export const SIGTERM = 15;

/**
 * The number of a signal as images and users write it: `SIGQUIT`, `quit`, `3`, `SIGRTMIN+3`, `RTMAX-1`.
 *
 * @returns null when there is no such signal
 */
export function signalNumber(text: string): number | null {
  const name = text.trim().toUpperCase().replace(/^SIG/, "");
  const [, base, sign, offset] = /^(RTMIN|RTMAX)(?:([+-])(\d{1,2}))?$/.exec(name) ?? [];
  if (base !== undefined) {
    const start = base === "RTMIN" ? firstRealTime : lastRealTime;
    return realTime(start + (sign === "-" ? -1 : 1) * Number(offset ?? 0));
  }
  if (/^\d{1,2}$/.test(name)) {
    const number = Number(name);
    return number >= 1 && number <= names.length ? number : realTime(number);
  }
  const index = names.indexOf(name);
  return index === -1 ? null : index + 1;
}

function realTime(number: number): number | null {
  return number >= firstRealTime && number <= lastRealTime ? number : null;
}
