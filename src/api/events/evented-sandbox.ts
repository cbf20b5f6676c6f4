import type { WaitOptions } from "../../host/operation.ts";
import { SandboxWithJobs } from "../jobs/sandbox-with-jobs.ts";
import { emitEvent } from "./emit.ts";
import type { EmitResult, EventOptions } from "./event-types.ts";
import { SandboxEvents } from "./sandbox-events.ts";
import { Subscription, type EventCallback } from "./subscription.ts";

/** What programs in a sandbox tell, and are told. */
export class EventedSandbox extends SandboxWithJobs {
  /**
   * Has a function called with each event of a name that programs in the sandbox tell (`msb-emit NAME JSON`, or a line of JSON at
   * `/run/agent.sock`), in their order. `*` at the end of a name stands for everything, so `*` alone for all events, and
   * `lifecycle:*` for what becomes of the sandbox. Where events are missing, because they came faster than they were taken, the function is
   * called with one of the kind `dropped` in their place.
   *
   * @returns what closes it; its `ready` resolves when no event is missed any more
   * @throws InvalidConfigError; everything else that goes wrong is what its `ended` rejects with
   *
   * @example
   * ```ts
   * import { Sandbox } from "microsandbox";
   *
   * await using sandbox = await Sandbox.builder("on-event-example").image("localhost/base").replace().create();
   * const { promise, resolve } = Promise.withResolvers<unknown>();
   * using progress = sandbox.onEvent("progress", ({ data }) => resolve(data));
   * await progress.ready;
   * await sandbox.exec("msb-emit", ["progress", '{"done":3}']);
   * console.log(await promise); // { done: 3 }
   * ```
   */
  onEvent(name: string, callback: EventCallback, options: WaitOptions = {}): Subscription {
    return new Subscription(this.control, name, callback, options);
  }

  /**
   * What comes to pass from now on, until the sandbox ends: what its programs tell, what becomes of it (`lifecycle:paused`), what comes to
   * pass on its network (`network:flow-denied`), and, for the paths in `watch`, changes of files (`files:created`).
   *
   * @param options `names`: only these
   * @throws through the iterator: InvalidConfigError, SandboxNotRunningError, SandboxFsError for what cannot be watched
   *
   * @example
   * ```ts
   * import { Sandbox } from "microsandbox";
   *
   * await using sandbox = await Sandbox.builder("all-events-example").image("localhost/base").replace().create();
   * const events = sandbox.events({ names: ["step", "lifecycle:*"] });
   * await events.ready;
   * await sandbox.shell("msb-emit step 1; msb-emit step 2");
   * for await (const { event, data } of events) {
   *   console.log(event, data);
   *   if (data === 2) break;
   * }
   * ```
   */
  events(options: EventOptions & WaitOptions = {}): SandboxEvents {
    return new SandboxEvents(this.control, options);
  }

  /**
   * Tells the programs in the sandbox that listen for it of an event: those that are connected to `/run/agent.sock` and have asked for its
   * name. Nobody need listen. Events are told in the order of the calls.
   *
   * @param data what JSON can say, at most 1 MiB of it; left out, the event has none
   * @throws InvalidConfigError, SandboxNotRunningError, RuntimeError
   *
   * @example
   * ```ts
   * import { Sandbox } from "microsandbox";
   *
   * await using sandbox = await Sandbox.builder("emit-example").image("localhost/base").replace().create();
   * const { listeners } = await sandbox.emit("reload", { reason: "new settings" });
   * console.log(listeners); // 0
   * ```
   */
  async emit(name: string, data?: unknown, options: WaitOptions = {}): Promise<EmitResult> {
    return await this.control.run("tell of an event in sandbox", options, (operation) =>
      emitEvent(this.control, name, data, operation),
    );
  }
}
