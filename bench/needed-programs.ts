import { access, constants } from "node:fs/promises";
import { delimiter, join } from "node:path";

/**
 * Looks for what a part starts, before it has measured for minutes.
 *
 * @param packages Debian's package of each program
 * @throws Error that says what to install
 */
export async function needPrograms(packages: Readonly<Record<string, string>>): Promise<void> {
  const missing: string[] = [];
  for (const [program, name] of Object.entries(packages)) if (!(await isThere(program))) missing.push(name);
  if (missing.length > 0) throw new Error(`not on this host: apt-get install ${missing.join(" ")}`);
}

async function isThere(program: string): Promise<boolean> {
  const looks = (process.env["PATH"] ?? "").split(delimiter).map((directory) =>
    access(join(directory, program), constants.X_OK).then(
      () => true,
      () => false,
    ),
  );
  return (await Promise.all(looks)).includes(true);
}
