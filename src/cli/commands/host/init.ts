import { writeFile } from "node:fs/promises";
import { resolve } from "node:path";
import { defineCommand, flag, value } from "../../grammar/command.ts";
import { errorCode, ioError } from "../../../host/system-error.ts";
import { out } from "../../output/streams.ts";
import { UsageError } from "../../output/usage-error.ts";
import { filled } from "../../values/simple.ts";

const defaultFile = "sandbox.mjs";

export const init = defineCommand({
  name: "init",
  summary: "Write a commented example program to begin with",
  details: `The program is JavaScript, and TypeScript as well: name it as you like. It goes to ${defaultFile} where no file is named; - is the standard output.`,
  examples: ["msb init", "msb init src/try.ts --image python:3.12", "msb init - | less"],
  operands: [{ name: "FILE", required: false }],
  options: {
    image: value({
      placeholder: "IMAGE",
      description: "The image of its sandbox (localhost/base)",
      completes: ["image", ""],
      parse: filled("an image"),
    }),
    force: flag({ short: "f", description: "Replace a file that is there" }),
  },
  run: async ({ options: { image = "localhost/base", force = false }, operands: [file = defaultFile] }) => {
    if (file === "") throw new UsageError("a file is expected, not nothing.", `msb init ${defaultFile}`);
    const program = exampleProgram(image);
    if (file === "-") {
      out(program);
      return 0;
    }
    const path = resolve(file);
    try {
      await writeFile(path, program, { flag: force ? "w" : "wx" });
    } catch (error) {
      if (errorCode(error) === "EEXIST")
        throw new UsageError(`${file} is there already.`, "Name another file, or replace it with --force");
      throw ioError(`write ${path}`, error, "userFile");
    }
    out(
      `Wrote ${file}. To run it, where the package is installed (npm install microsandbox):\n\n  node ${file}\n`,
    );
    return 0;
  },
});

function exampleProgram(image: string): string {
  return `// What a program does with a sandbox: a virtual machine of its own for code that nobody has reviewed.
import { Sandbox } from "microsandbox";

const sandbox = await Sandbox.builder("example")
  .image(${JSON.stringify(image)})
  .memory(512) // MiB
  .cpus(1)
  .replace() // an older sandbox of this name is removed
  // .env("GREETING", "hello")                        a variable for all of its commands
  // .volume("/data", (mount) => mount.bind("./data"))  a directory of this computer
  // .disableNetwork()                                it reaches nothing at all
  .create();

try {
  // A program with its arguments, as they are: no shell looks at them.
  const kernel = await sandbox.exec("uname", ["-sr"]);
  console.log("the kernel of the sandbox:", kernel.stdout().trim());

  // A script. What it fails with is told by its code, and is no error.
  const script = await sandbox.shell("echo out; echo err >&2; exit 3");
  console.log("the script:", { code: script.code, out: script.stdout(), err: script.stderr() });

  // Files go in and out.
  await sandbox.fs().write("/root/numbers", "3\\n1\\n2\\n");
  console.log("sorted:", (await sandbox.exec("sort", ["/root/numbers"])).stdout().split("\\n").join(" "));

  // What takes too long is ended.
  try {
    await sandbox.execWith("sleep", (options) => options.args(["60"]).timeout(1000));
  } catch (error) {
    console.log("too long:", error instanceof Error ? error.message : error);
  }
} finally {
  // Its files stay, until it is removed.
  await sandbox.stop();
  await Sandbox.remove("example");
}
`;
}
