import { errno } from "../fuse/numbers.ts";
import { Refusal } from "../fuse/refusal.ts";
import { requireFromPackage } from "../../host/package-files.ts";

interface Swap {
  swapSync(from: string, to: string): void;
}

/**
 * Two names change places (rename(2), RENAME_EXCHANGE).
 *
 * @throws Refusal EINVAL for a name that is no UTF-8: what makes the call takes no others
 */
export function swapNames(from: Buffer, to: Buffer): void {
  const texts = [from, to].map((path) => {
    const text = path.toString();
    if (!Buffer.from(text).equals(path)) throw new Refusal(errno.inval);
    return text;
  });
  (requireFromPackage("fs-native-extensions") as Swap).swapSync(texts[0] ?? "", texts[1] ?? "");
}
