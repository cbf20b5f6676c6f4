import { Image } from "../../../api/index.ts";
import { redacted } from "../../call/redact.ts";
import { tool } from "../../call/tool.ts";
import { confirm, flag, text } from "../../inputs/fields.ts";
import { requireConfirmation } from "../../workbench.ts";
import { imageRow } from "../listings.ts";

const reference = text("Reference of the image, such as python:3.12.");

const list = tool({
  name: "image_list",
  description:
    "The container images that are stored here. What a sandbox needs is pulled when it is created.",
  effect: "reads",
  input: {},
  run: async (_input, { signal }) => ({ data: { images: (await Image.list({ signal })).map(imageRow) } }),
});

const inspect = tool({
  name: "image_inspect",
  description: "What a stored image says of itself: command, environment, user, layers.",
  effect: "reads",
  input: { reference },
  run: async (input, { signal }) => {
    const { handle, ...detail } = await Image.inspect(input.reference, { signal });

    return { data: redacted({ ...imageRow(handle), ...detail }) };
  },
});

const remove = tool({
  name: "image_remove",
  description:
    "Removes a stored image. One that a sandbox or a snapshot uses only with force, which has to be confirmed.",
  effect: "destroys",
  input: { reference, force: flag("Also when it is used."), confirm },
  run: async ({ reference: name, force = false, confirm: confirmed }, { signal }) => {
    if (force) requireConfirmation(confirmed, "removing an image that may be used");
    await Image.remove(name, { force, signal });
    return { data: { reference: name, removed: true } };
  },
});

const prune = tool({
  name: "image_prune",
  description: "Removes every stored image that neither a sandbox nor a snapshot uses. Has to be confirmed.",
  effect: "destroys",
  input: { confirm },
  run: async ({ confirm: confirmed }, { signal }) => {
    requireConfirmation(confirmed, "removing all images that are not used");
    return { data: await Image.prune({ signal }) };
  },
});

export const imageTools = [list, inspect, remove, prune];
