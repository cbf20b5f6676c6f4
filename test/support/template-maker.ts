/**
 * `template-maker KEY STEP`: makes a template, and at the step says so and waits for a line on stdin. Says afterwards whether
 * it made the template or found it made. Meanwhile it has a socket to save a machine through.
 */
import { once } from "node:events";
import { createServer } from "node:net";
import { locateHome } from "../../src/store/home.ts";
import { lockTemplate, stageTemplate } from "../../src/store/templates/template-staging.ts";
import { openTemplate } from "../../src/store/templates/templates.ts";
import { fill, machineDetails, noLimit } from "./template-support.ts";

const [key = "", stopAt = ""] = process.argv.slice(2);
const home = locateHome();

async function reach(step: string): Promise<void> {
  if (step !== stopAt) return;
  process.stdout.write(`${step}\n`);
  await once(process.stdin, "data");
}

await reach("start");
await using lock = await lockTemplate(home, key);
await reach("locked");
if ((await openTemplate(home, key)).template !== null) {
  process.stdout.write("found\n");
} else {
  await using staged = await stageTemplate(home);
  await reach("staged");
  await fill(staged, "machine");
  const server = createServer().listen(staged.socket);
  await once(server, "listening");
  await reach("filled");
  server.close();
  await staged.commit(lock, machineDetails, noLimit);
  process.stdout.write("made\n");
  await reach("made");
}
process.stdin.destroy();
