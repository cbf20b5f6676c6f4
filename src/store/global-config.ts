import { readFile } from "node:fs/promises";
import * as v from "valibot";
import { InvalidConfigError } from "../errors/index.ts";
import type { Home } from "./home.ts";
import { errorCode, ioError } from "./system-error.ts";

const logLevel = v.picklist(["trace", "debug", "info", "warn", "error"]);

const schema = v.object({
  log_level: v.nullish(logLevel),
  paths: v.optional(v.object({ libkrunfw: v.nullish(v.string()) })),
  sandbox_defaults: v.optional(
    v.object({
      cpus: v.nullish(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(255))),
      memory_mib: v.nullish(v.pipe(v.number(), v.integer(), v.minValue(1))),
      shell: v.nullish(v.string()),
      workdir: v.nullish(v.string()),
      thp: v.nullish(v.picklist(["always", "madvise", "never"])),
      metrics_sample_interval_ms: v.nullish(v.pipe(v.number(), v.integer(), v.minValue(0))),
      disable_metrics_sample: v.nullish(v.boolean()),
    }),
  ),
});

/** The user's settings, `config.json`; see `docs/configuration.md`. */
export type GlobalConfig = v.InferOutput<typeof schema>;

/**
 * Reads the user's settings. A missing file means the defaults.
 *
 * @throws InvalidConfigError that names the field, IoError
 */
export async function readGlobalConfig(home: Home): Promise<GlobalConfig> {
  let text: string;
  try {
    text = await readFile(home.configFile, "utf8");
  } catch (error) {
    if (errorCode(error) === "ENOENT" || errorCode(error) === "ENOTDIR") return {};
    throw ioError(`read ${home.configFile}`, error);
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new InvalidConfigError(`${home.configFile} is not JSON: ${String(error)}`, {
      cause: error,
      hint: "Correct the file, or remove it to use the defaults.",
    });
  }
  const parsed = v.safeParse(schema, json);
  if (parsed.success) return parsed.output;
  const issue = parsed.issues[0];
  throw new InvalidConfigError(`${home.configFile}: ${v.getDotPath(issue) ?? "the file"}: ${issue.message}`, {
    hint: "Correct the field, or remove it to use its default.",
  });
}
