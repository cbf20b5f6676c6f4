import { defineCommand, flag, value } from "../../grammar/command.ts";
import { onInterruption } from "../../output/interrupt.ts";
import { Progress } from "../../output/progress.ts";
import { filled } from "../../values/simple.ts";

/** How a registry is spoken to, for the commands that speak to one without a sandbox. */
export const registryOptions = {
  insecure: flag({ description: "Accept any certificate, and plain HTTP where the registry has no TLS" }),
  caCerts: value({
    placeholder: "FILE",
    description: "PEM certificates that are trusted besides the system's",
    parse: filled("a file"),
  }),
} as const;

export const imagePull = defineCommand({
  name: "pull",
  parent: "image",
  summary: "Fetch an image from its registry",
  details:
    "An image that is here already is left as it is; --force asks the registry whether the reference means another one now, and fetches what is new or what the disk has damaged.",
  examples: [
    "msb pull alpine",
    "msb pull --warm python:3.12",
    "msb pull -f python:3.12",
    "msb pull localhost:5000/app@sha256:…",
  ],
  operands: [{ name: "REFERENCE", required: true }],
  options: {
    force: flag({ short: "f", description: "Ask the registry even when the image is here" }),
    ...registryOptions,
    warm: flag({ description: "Make the template too, so that not even the first sandbox has to boot" }),
    quiet: flag({ short: "q", description: "Print nothing but errors" }),
  },
  run: async ({ options, operands: [reference = ""], logLevel }) => {
    const { pull, warmImage } = await import("../../../api/images/msb-images.ts");
    const progress = new Progress({ quiet: options.quiet ?? false, logLevel });
    const abort = new AbortController();
    // What was fetched so far stays, for a later pull to go on with.
    using _interruption = onInterruption(() => {
      progress.clear();
      abort.abort();
    });
    await progress.start(`Pulling ${reference}`);
    try {
      const pulled = await pull(reference, {
        policy: options.force === true ? "always" : "if-missing",
        insecure: options.insecure,
        caCerts: options.caCerts,
        onProgress: (event) => {
          progress.pull(event);
        },
        signal: abort.signal,
      });
      if (pulled !== null) progress.done("Pulled", pulled);
      else {
        progress.clear();
        progress.notice(`${reference} comes with this package: there is nothing to pull`);
      }
    } catch (error) {
      progress.failed("Pulled", reference);
      throw error;
    }
    if (options.warm !== true) return 0;
    await progress.start(`Making a template of ${reference}`);
    try {
      const outcome = await warmImage(reference, (message) => progress.notice(message), abort.signal);
      progress.done("Warmed", outcome === "ready" ? `${reference} (it was)` : reference);
      return 0;
    } catch (error) {
      progress.failed("Warmed", reference);
      throw error;
    }
  },
});
