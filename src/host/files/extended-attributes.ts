import { requireFromPackage } from "../package-files.ts";

interface Attributes {
  getAttrSync(fd: number, name: string): Buffer | null;
  setAttrSync(fd: number, name: string, value: Buffer): void;
  removeAttrSync(fd: number, name: string): void;
  listAttrsSync(fd: number): string[];
}

let loaded: Attributes | null = null;

/** Extended attributes of open files: Node has none of its own. */
export function extendedAttributes(): Attributes {
  loaded ??= requireFromPackage("fs-native-extensions") as Attributes;
  return loaded;
}
