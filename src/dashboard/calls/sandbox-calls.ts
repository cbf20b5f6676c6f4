import * as v from "valibot";
import { Sandbox } from "../../api/index.ts";
import { CreationProgress } from "../live/progress.ts";
import { rowOf } from "../rows.ts";
import type { SandboxView } from "../wire.ts";
import { name, named, type SomeCalls } from "./call.ts";

const count = v.nullable(v.pipe(v.number(), v.integer()));
const port = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(65_535));

/** Sandboxes that are made or started here are nobody's: they go on when the dashboard has ended. */
export const sandboxCalls: SomeCalls<
  | "sandbox.create"
  | "sandbox.get"
  | "sandbox.start"
  | "sandbox.stop"
  | "sandbox.kill"
  | "sandbox.pause"
  | "sandbox.resume"
  | "sandbox.fork"
  | "sandbox.remove"
> = {
  "sandbox.create": {
    args: v.strictObject({
      name,
      image: v.pipe(v.string(), v.nonEmpty("give an image")),
      cpus: count,
      memoryMib: count,
      env: v.record(v.string(), v.string()),
      ports: v.array(v.strictObject({ hostPort: port, guestPort: port })),
      network: v.boolean(),
      progress: v.string(),
    }),
    run: async ({ name, image, cpus, memoryMib, env, ports, network, progress }) => {
      const told = new CreationProgress(progress);
      const notices: string[] = [];
      const builder = Sandbox.builder(name).image(image).envs(env);
      if (cpus !== null) builder.cpus(cpus);
      if (memoryMib !== null) builder.memory(memoryMib);
      for (const { hostPort, guestPort } of ports) builder.port(hostPort, guestPort);
      if (!network) builder.disableNetwork();
      builder
        .onPullProgress((event) => told.pulled(event))
        .onProgress((event) => told.started(event))
        .onNotice((notice) => notices.push(notice));
      await leave(await builder.createDetached());
      return { notices };
    },
  },
  "sandbox.get": {
    args: named,
    run: async ({ name }, signal) => {
      const handle = await Sandbox.get(name, { signal });
      const { startReport, accelerator, updatedAt, configJson } = handle;
      const bootError = await handle.bootError({ signal });
      return {
        ...rowOf(handle),
        updatedAt: updatedAt.getTime(),
        accelerator,
        start: startReport === null ? null : `${startReport.route}: ${startReport.reason}`,
        bootError:
          bootError === null
            ? null
            : { message: bootError.message, hint: bootError.hint, console: bootError.consoleTail },
        config: configJson,
      } satisfies SandboxView;
    },
  },
  "sandbox.start": {
    args: named,
    run: async ({ name }) => {
      const handle = await Sandbox.get(name);
      const notices: string[] = [];
      await leave(await handle.startDetached({ onNotice: (notice) => notices.push(notice) }));
      return { notices };
    },
  },
  "sandbox.stop": { args: named, run: ({ name }) => act(name, (handle) => handle.stop()) },
  "sandbox.kill": { args: named, run: ({ name }) => act(name, (handle) => handle.kill()) },
  "sandbox.pause": { args: named, run: ({ name }) => act(name, (handle) => handle.pause()) },
  "sandbox.resume": { args: named, run: ({ name }) => act(name, (handle) => handle.resume()) },
  "sandbox.fork": {
    args: v.strictObject({ name, child: name }),
    run: ({ name, child }) => act(name, async (handle) => leave(await handle.fork(child))),
  },
  "sandbox.remove": { args: named, run: ({ name }) => act(name, (handle) => handle.destroy()) },
};

type Handle = Awaited<ReturnType<typeof Sandbox.get>>;

async function act(name: string, action: (handle: Handle) => Promise<void>): Promise<null> {
  await action(await Sandbox.get(name));
  return null;
}

/** Closes the connection to a sandbox that goes on. */
async function leave(sandbox: Sandbox): Promise<void> {
  await sandbox[Symbol.asyncDispose]();
}
