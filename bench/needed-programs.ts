import { missingPrograms } from "../scripts/missing-programs.ts";

/**
 * Looks for what a part starts, before it has measured for minutes.
 *
 * @param packages Debian's package of each program
 * @throws Error that says what to install
 */
export async function needPrograms(packages: Readonly<Record<string, string>>): Promise<void> {
  const missing = await missingPrograms(Object.keys(packages));
  if (missing.length === 0) return;
  throw new Error(`not on this host: apt-get install ${missing.map((name) => packages[name]).join(" ")}`);
}
