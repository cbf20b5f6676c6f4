// Creates a sandbox with a patch that takes long. Is killed meanwhile.
import { Sandbox } from "../../../src/index.ts";
import { smallMemory } from "../lifecycle-support.ts";

const [name = "", huge = ""] = process.argv.slice(2);
await Sandbox.builder(name)
  .image("localhost/base")
  .memory(smallMemory)
  .logLevel("debug")
  .patch((p) => p.copyFile(huge, "/huge"))
  .create();
