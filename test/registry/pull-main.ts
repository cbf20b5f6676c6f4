/** A pull in a process of its own, which can be killed; its progress on stdout, one JSON document per line. */
import { pullImage } from "../../src/image/pull/pull.ts";
import { locateHome } from "../../src/store/home.ts";

const [reference = ""] = process.argv.slice(2);
await pullImage(reference, {
  home: locateHome(),
  environment: {},
  retry: { attempts: 5, baseMs: 20, maximumMs: 200 },
  onProgress: (event) => process.stdout.write(JSON.stringify(event) + "\n"),
});
