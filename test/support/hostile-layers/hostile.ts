import type { LayerSource } from "../../../src/image/import/layer-source.ts";
import type { ImportLimits } from "../../../src/image/import/limits.ts";
import { archive, tarEntry } from "../tar-builder.ts";

/** A layer, or several, that must be refused; the tables beside this file have them by subject. */
export interface Hostile {
  readonly name: string;
  /** The layers, the lowest first. */
  readonly layers: readonly (Uint8Array | LayerSource)[];
  readonly says: RegExp;
  readonly limits?: Partial<ImportLimits>;
}

export const file = tarEntry({ name: "file", data: "content" });
export const good = archive(file);
export const long = (length: number): string => "n".repeat(length);
