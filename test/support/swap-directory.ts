// Swaps a directory and a link to another one, again and again, until it is killed.
import { renameSync, rmSync, symlinkSync } from "node:fs";

const [directory = "", victim = ""] = process.argv.slice(2);
symlinkSync(victim, `${directory}.link`);
process.send?.("begun");
for (;;) {
  move(directory, `${directory}.away`);
  move(`${directory}.link`, directory);
  move(directory, `${directory}.link`);
  move(`${directory}.away`, directory);
}

function move(from: string, to: string): void {
  for (;;) {
    try {
      renameSync(from, to);
      return;
    } catch {
      // Whoever is raced against has made a directory there, and may be writing in it.
    }
    try {
      rmSync(to, { recursive: true, force: true });
    } catch {
      // Once more.
    }
  }
}
