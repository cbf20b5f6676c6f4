import { InvalidConfigError } from "../../errors/index.ts";

/** What is copied, as far as it decides where it goes. */
export interface CopiedThing {
  readonly isDirectory: boolean;
  /** Only what is in the directory is meant: it was named with `/.` at its end, or comes from an archive. */
  readonly contentsOnly: boolean;
  /** For people. */
  readonly shown: string;
  /** The last part of its path. */
  readonly name: string;
}

/** What stands where something is to be copied to. A link is what it leads to; one that leads nowhere is `other`. */
export type Standing = "nothing" | "directory" | "other";

/** Where something is copied to. */
export interface CopyPlace {
  /** As the user wrote it, with the slashes at its end. */
  readonly path: string;
  readonly standing: Standing;
  /** For people: with the sandbox's name. */
  readonly shown: string;
}

/**
 * What becomes of a copy: `as` gives it this path, where the directory above must be there; `into` puts what is in the directory
 * into one that is there.
 */
export type Destination =
  { readonly kind: "as"; readonly path: string } | { readonly kind: "into"; readonly path: string };

/**
 * Where a copy goes, by the rules of `docker cp` (https://docs.docker.com/reference/cli/docker/container/cp/).
 *
 * | source                       | nothing there                      | a directory there | something else there |
 * | ---------------------------- | ---------------------------------- | ----------------- | -------------------- |
 * | file or link                 | it gets that name; not with a `/`  | goes into it      | replaces it          |
 * | directory                    | it gets that name                  | goes into it      | an error             |
 * | what is in a directory (`/.`)| the directory gets that name       | goes into it      | an error             |
 *
 * @throws InvalidConfigError
 */
export function destinationOf(source: CopiedThing, place: CopyPlace): Destination {
  const { isDirectory, contentsOnly, shown, name } = source;
  const path = withoutSlashes(place.path);
  switch (place.standing) {
    case "nothing":
      if (isDirectory || !place.path.endsWith("/")) return { kind: "as", path };
      throw new InvalidConfigError(`there is no directory ${place.shown}`, {
        hint: "Make it first, or leave the slash away to give the copy that name.",
      });
    case "other":
      if (isDirectory) {
        throw new InvalidConfigError(`cannot copy the directory ${shown} to ${place.shown}, which is none`, {
          hint: "Name a directory, or a path where nothing is.",
        });
      }
      if (!place.path.endsWith("/")) return { kind: "as", path };
      throw new InvalidConfigError(`${place.shown} is no directory`, {
        hint: "Leave the slash away to replace it.",
      });
    case "directory":
      return contentsOnly
        ? { kind: "into", path }
        : { kind: "as", path: `${path === "/" ? "" : path}/${name}` };
  }
}

/** A path without slashes at its end; `/` stays. */
export function withoutSlashes(path: string): string {
  return path.replace(/(?<=.)\/+$/s, "");
}
