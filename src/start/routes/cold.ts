import { becomeSandbox, bootToHello } from "../common/boot.ts";
import type { StartedMachine, StartPlan } from "../common/context.ts";
import { makeUpper } from "../inputs/root.ts";

/**
 * Starts a sandbox from its kernel. It is the last way, so it ends in a sandbox or in the error that the user gets.
 *
 * @throws as `bootToHello` and `becomeSandbox`
 */
export async function startCold(plan: StartPlan): Promise<StartedMachine> {
  await makeUpper(plan.root);
  return await becomeSandbox(plan, await bootToHello(plan), false);
}
