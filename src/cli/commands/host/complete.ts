import { candidates, type FindNames } from "../../grammar/completion.ts";
import { defineCommand, value, type AnyCommand } from "../../grammar/command.ts";
import type { CommandEntries } from "../../grammar/entries.ts";
import { out } from "../../output/streams.ts";
import { text } from "../../values/simple.ts";

/** Called by the scripts of `msb completion` with the words typed so far; not for people. */
export function completeFrom(entries: CommandEntries): AnyCommand {
  return defineCommand({
    name: "__complete",
    summary: "Print what can stand where the user is typing",
    hidden: true,
    guestCommand: true,
    options: {
      word: value({ placeholder: "WORD", description: "The word being typed", parse: text }),
    },
    run: async ({ options, guestCommand }) => {
      const found = await candidates(entries, guestCommand ?? [], options.word ?? "", names);
      out(found.map(({ value: candidate, description }) => `${candidate}\t${description}\n`).join(""));
      return 0;
    },
  });
}

const names: FindNames = async (kind, typed, [sandbox]) => {
  if (kind === "side") return await (await import("../files/side-names.ts")).sideNames(typed);
  if (kind === "template") {
    const { list } = await import("../../../api/setup/msb-templates.ts");
    return (await list()).map((template) => template.key.slice(0, 12));
  }
  if (kind === "volume") {
    return await (await import("../../../api/volumes/volume-names.ts")).volumeNames();
  }
  if (kind === "pool") {
    const { Sandbox } = await import("../../../api/index.ts");
    return (await Sandbox.listPools()).map(({ name }) => name);
  }
  if (kind === "job") {
    const { Sandbox } = await import("../../../api/index.ts");
    const jobs = sandbox === undefined ? [] : await (await Sandbox.get(sandbox)).listJobs();
    return jobs.map(({ id }) => id);
  }
  if (kind === "snapshot") {
    const { Snapshot } = await import("../../../api/index.ts");
    return (await Snapshot.list()).map(({ name, path }) => name ?? path);
  }
  const { Image, Sandbox } = await import("../../../api/index.ts");
  return kind === "image"
    ? (await Image.list()).map((image) => image.reference)
    : (await Sandbox.list()).map((sandbox) => sandbox.name);
};
