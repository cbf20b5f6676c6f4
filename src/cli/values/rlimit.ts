import { rlimitResources, type Rlimit } from "../../config/rlimits.ts";
import { UsageError } from "../output/usage-error.ts";

/**
 * `RESOURCE=SOFT[:HARD]`, such as `nofile=1024:4096` or `core=unlimited`; without HARD both are the same.
 *
 * @throws UsageError
 */
export function parseResourceLimit(text: string): Rlimit {
  const match = /^([a-z]+)=([^:]+)(?::([^:]+))?$/i.exec(text.trim());
  const [, name = "", softText = "", hardText] = match ?? [];
  if (match === null) {
    throw new UsageError(
      `"${text}" is not a limit.`,
      "Limits are written RESOURCE=SOFT or RESOURCE=SOFT:HARD, for example nofile=1024:4096",
    );
  }
  const resource = rlimitResources.find((known) => known === name.toLowerCase());
  if (resource === undefined) {
    throw new UsageError(`"${name}" is not a resource.`, `Resources: ${rlimitResources.join(", ")}`);
  }
  const soft = parseAmount(softText);
  const hard = hardText === undefined ? soft : parseAmount(hardText);
  if (soft > hard) throw new UsageError(`in "${text}" the soft limit is above the hard one.`);
  return { resource, soft, hard };
}

function parseAmount(text: string): number {
  if (text.toLowerCase() === "unlimited") return Infinity;
  const amount = /^\d+$/.test(text) ? Number(text) : NaN;
  if (!Number.isSafeInteger(amount)) {
    throw new UsageError(`"${text}" is not a limit's value.`, 'It is a whole number or "unlimited"');
  }
  return amount;
}
