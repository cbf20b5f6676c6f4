import { Store } from "./store.ts";

/** Where the page is: `#/sandbox/NAME/logs` is `["sandbox", NAME, "logs"]`. */
export const route: Store<readonly string[]> = new Store(steps());

addEventListener("hashchange", () => {
  route.set(steps());
});

/** The address of a place in the page. */
export function to(...parts: readonly string[]): string {
  return `#/${parts.map(encodeURIComponent).join("/")}`;
}

export function go(...parts: readonly string[]): void {
  location.hash = to(...parts);
}

function steps(): readonly string[] {
  return location.hash
    .replace(/^#\/?/, "")
    .split("/")
    .filter((part) => part !== "")
    .map(decoded);
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
