import { InvalidConfigError, IoError, MicrosandboxError, SandboxFsError } from "../../errors/index.ts";
import { isText } from "../../config/guest-text.ts";
import {
  locate,
  OutsideError,
  type LocateOptions,
  type Place,
} from "../../host/contained/contained-directory.ts";
import { Operation, type WaitOptions } from "../../host/operation.ts";
import { errorCode, systemHint, systemReason } from "../../host/system-error.ts";

/** How often a path that changes while it is used is looked up again. */
const maximumTries = 50;

/**
 * Does something at a path of a volume. What is done must not follow a link that has the last name: when it meets one there, because
 * somebody has just put it there, the path is looked up again.
 *
 * @param root directory of the volume
 * @param action for errors, with the path: `read a.txt`
 * @param options.signal given up: before the work begins, and where the work looks at it
 * @throws SandboxFsError when the path leads out of the volume; IoError; InvalidConfigError for what is no path
 */
export async function atPlace<T>(
  root: string,
  path: string,
  action: string,
  { signal, timeoutMs, ...options }: LocateOptions & WaitOptions,
  work: (place: Place, operation: Operation) => Promise<T>,
): Promise<T> {
  if (!isText(path)) throw new InvalidConfigError(`the path to ${action} is no text that can be a path`);
  const what = `${action} ${JSON.stringify(path)} in the volume`;
  return await Operation.run(what, { signal, timeoutMs }, async (operation) => {
    for (let tries = 1; ; tries += 1) {
      operation.throwIfOver();
      try {
        const place = await locate(root, path, options);
        await using _directory = place.directory;
        return await work(place, operation);
      } catch (error) {
        operation.throwIfOver();
        if (error instanceof OutsideError) {
          throw new SandboxFsError(
            `cannot ${what}: path traversal outside the volume root: ${error.message}`,
            { operation: action, path, errno: null, errnoName: null },
            {
              hint: "Name a path inside the volume. Absolute links in it are not followed on the host.",
            },
          );
        }
        if (options.follow && errorCode(error) === "ELOOP" && tries < maximumTries) continue;
        throw volumeError(what, error);
      }
    }
  });
}

/** Wraps what the system reports of a volume's files. An error of ours comes back as it is. */
export function volumeError(what: string, error: unknown): MicrosandboxError {
  if (error instanceof MicrosandboxError) return error;
  // Directories on the way are made for what is written.
  const hint =
    errorCode(error) === "ENOENT"
      ? "Nothing has that name: list() tells what is there."
      : systemHint(error, "userFile");
  return new IoError(`cannot ${what}: ${systemReason(error)}`, { cause: error, hint });
}
