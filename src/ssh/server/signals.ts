import { constants } from "node:os";

/** The signals that SSH has names for, without SIG: RFC 4254, 6.10. Their numbers are Linux's. */
const numbers: ReadonlyMap<string, number> = new Map([
  ["HUP", 1],
  ["INT", 2],
  ["QUIT", 3],
  ["ILL", 4],
  ["ABRT", 6],
  ["FPE", 8],
  ["KILL", 9],
  ["USR1", 10],
  ["SEGV", 11],
  ["USR2", 12],
  ["PIPE", 13],
  ["ALRM", 14],
  ["TERM", 15],
]);

/** null for a name that SSH has not. */
export function signalNumber(name: string): number | null {
  return numbers.get(name.replace(/^SIG/, "")) ?? null;
}

/** null for a signal that SSH has no name for. */
export function signalName(number: number): string | null {
  for (const [name, known] of numbers) if (known === number) return name;
  return null;
}

/** The exit code that a shell gives a command which a signal has ended; by the name that SSH has. */
export function codeOfSignal(name: string): number {
  const number = signalNumber(name) ?? constants.signals.SIGTERM;
  return 128 + number;
}
