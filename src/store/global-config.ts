import { readFile } from "node:fs/promises";
import { checkGlobalConfig, type GlobalConfig } from "../config/global/global-config.ts";
import { InvalidConfigError } from "../errors/index.ts";
import { errorCode, ioError } from "../host/system-error.ts";
import type { Home } from "./home.ts";

/**
 * Reads the user's settings. A missing file means the defaults.
 *
 * @throws InvalidConfigError that names the key, UnsupportedOperationError for a key of a later version, IoError
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
  return checkGlobalConfig(json, home.configFile);
}
