import { checkPoolName } from "../../config/sandbox-name.ts";
import { Operation, type WaitOptions } from "../../host/operation.ts";
import { locateHome, prepareHome } from "../../store/home.ts";
import { findPool, poolNames, readPool } from "../../store/pools/pools.ts";
import { removePool } from "../../store/pools/remove-pool.ts";
import { observed } from "../sandbox/observed.ts";
import { makePool, unknownSource } from "./make-pool.ts";
import { PoolOwner } from "./pool-owner.ts";
import { checkPool, poolOptions, type PoolOptions } from "./pool-options.ts";
import { SandboxPool } from "./pool.ts";

/** As `Sandbox.pool`. */
export async function createPool(options: PoolOptions): Promise<SandboxPool> {
  return await Operation.run(
    "make pool",
    options,
    async (operation) => {
      const checked = checkPool(options);
      const home = locateHome();
      await prepareHome(home);
      const owner = checked.isOwned ? new PoolOwner(home) : null;
      const claim = async (id: string): Promise<void> => await owner?.claim(id);
      try {
        const { onPullProgress, onNotice } = options;
        const observer = observed(operation, { onPullProgress, onNotice });
        const { found, source } = await makePool(home, checked, claim, operation, observer);
        const pool = new SandboxPool(home, found, source, owner);
        await pool.fill();
        return pool;
      } catch (error) {
        owner?.end();
        throw error;
      }
    },
    poolOptions,
  );
}

/** As `Sandbox.getPool`. */
export async function getPool(name: string, options: WaitOptions): Promise<SandboxPool> {
  checkPoolName(name);
  const home = locateHome();
  return await Operation.run(`find pool ${name}`, options, async (operation) => {
    const found = await operation.wait(findPool(home, name));
    return new SandboxPool(home, found, unknownSource, null);
  });
}

/** As `Sandbox.listPools`. */
export async function listPools(options: WaitOptions): Promise<SandboxPool[]> {
  const home = locateHome();
  return await Operation.run("list pools", options, async (operation) => {
    const pools: SandboxPool[] = [];
    for (const name of await operation.wait(poolNames(home))) {
      const found = await readPool(home, name).catch(() => null);
      if (found !== null) pools.push(new SandboxPool(home, found, unknownSource, null));
    }
    return pools;
  });
}

/** As `Sandbox.removePool`. */
export async function removePoolNamed(name: string, options: WaitOptions): Promise<void> {
  checkPoolName(name);
  await Operation.run(`remove pool ${name}`, options, (operation) =>
    operation.wait(removePool(locateHome(), name, null)),
  );
}
