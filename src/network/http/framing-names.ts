const names = /^(?:content[-_]length|transfer[-_]encoding)$/i;

/** Whether a field of this name says how long the body is, or could be taken for one: some programs read `_` in a name as `-`. */
export function isFramingName(name: string): boolean {
  return names.test(name);
}

/** Whether a field could be taken for one that says how long the body is, and is none. No client has a use for such a name. */
export function isFalseFramingName(name: string): boolean {
  return name.includes("_") && names.test(name);
}
