import { access, constants } from "node:fs/promises";
import { delimiter, join } from "node:path";

/** Which of these programs are neither on the PATH nor where Debian keeps those of root, which an ordinary user's PATH leaves out. */
export async function missingPrograms(names: readonly string[]): Promise<string[]> {
  const directories = `${process.env["PATH"] ?? ""}:/usr/local/sbin:/usr/sbin:/sbin`.split(delimiter);
  const missing: string[] = [];
  for (const name of names) {
    const found = await Promise.any(
      directories.map((directory) => access(join(directory, name), constants.X_OK)),
    ).then(
      () => true,
      () => false,
    );
    if (!found) missing.push(name);
  }
  return missing;
}
