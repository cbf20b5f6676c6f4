// Read by Nodes that are too old for everything else of this package: nothing here may be new to them.

/** The oldest Node that runs this package, as package.json says. */
export const oldestNode = "22.15";

/** What is wrong with the Node that runs this, and what to do about it; null when nothing is. */
export function nodeTooOld(what: string, version: string): { message: string; hint: string } | null {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const [leastMajor = 0, leastMinor = 0] = oldestNode.split(".").map(Number);
  if (major > leastMajor || (major === leastMajor && minor >= leastMinor)) return null;
  return {
    message: `${what} needs Node ${oldestNode} or newer, this is ${version}`,
    hint: "Install a newer Node from https://nodejs.org",
  };
}
