import { RuntimeError, UnsupportedOperationError } from "../../errors/index.ts";
import { requireNoProviders } from "../../config/mounts/provider-mounts.ts";
import type {
  CaptureMessage,
  EndedMessage,
  ExecMessage,
  GuestFlush,
  JobAccess,
  Message,
  MetricsMessage,
  PausedCalls,
  SandboxState,
  TellInsideMessage,
  ToldInsideMessage,
  StartJobMessage,
} from "../../protocol/generated/messages.ts";
import type { Stream, StreamHandler } from "../../protocol/stream.ts";
import type { Home } from "../../store/home.ts";
import { setAside } from "../../store/sandboxes.ts";
import { Checkpoints } from "../checkpoints/checkpoints.ts";
import type { Client, ClientServices } from "../clients/client.ts";
import { answerWithStart } from "../jobs/answer-start.ts";
import { watchLogs, type Logs } from "../logs/logs.ts";
import type { CaptureCost } from "../services/guest/capture-guest.ts";
import type { SandboxNetwork } from "../services/network/sandbox-network.ts";
import type { ClientStream, Session } from "../services/session.ts";
import { copySandbox, ending, Suspending } from "../suspending.ts";
import type { SandboxLife } from "./sandbox-life.ts";

export interface SandboxCallsOptions {
  readonly home: Home;
  readonly life: SandboxLife;
  readonly logs: Logs;
  /** @throws RuntimeError when there are too many clients */
  readonly admit: () => void;
  readonly disconnected: (client: Client) => void;
}

/** What clients ask of a sandbox: whether it can be done now, and who does it. */
export class SandboxCalls implements ClientServices {
  readonly id: string;
  readonly name: string;
  readonly admit: () => void;
  readonly disconnected: (client: Client) => void;
  readonly suspending: Suspending;
  readonly #home: Home;
  readonly #life: SandboxLife;
  readonly #logs: Logs;
  readonly #checkpoints: Checkpoints;
  #discarding: Promise<string> | null = null;

  constructor({ home, life, logs, admit, disconnected }: SandboxCallsOptions) {
    this.id = life.sandbox.record.id;
    this.name = life.name;
    this.admit = admit;
    this.disconnected = disconnected;
    this.suspending = new Suspending(life.sandbox);
    this.#home = home;
    this.#life = life;
    this.#logs = logs;
    this.#checkpoints = new Checkpoints(home, life.sandbox);
  }

  get state(): SandboxState {
    return this.#life.state;
  }

  /** Where the sandbox is put when it is discarded; null where it is not. */
  get discarding(): Promise<string> | null {
    return this.#discarding;
  }

  exec(request: ExecMessage, client: ClientStream): Session {
    this.#requireNotDraining();
    return this.#life.running().exec(request, client);
  }

  startJob(request: StartJobMessage, client: Stream): StreamHandler {
    this.#requireNotDraining();
    return answerWithStart(this.#life.running().startJob(request), client);
  }

  attachJob(id: string, access: JobAccess, client: Stream): StreamHandler {
    return this.#life.running().jobs.attach(id, access, client);
  }

  signalJob(id: string, signal: number): void {
    this.#life.running().signalJob(id, signal);
  }

  /** @throws RuntimeError */
  #requireNotDraining(): void {
    if (this.state !== "draining") return;
    throw new RuntimeError(`sandbox ${this.name} is draining and takes no new commands`, {
      hint: "Start it again when it has stopped.",
    });
  }

  files(request: Message, client: Stream): StreamHandler {
    return this.#life.running().files(request, client);
  }

  /** @throws SandboxNotRunningError, also when it is about to end */
  holdDisk(flush: GuestFlush, client: Stream): StreamHandler {
    const guest = this.#life.running();
    if (this.#life.end.ending !== null || this.state === "draining") throw ending(this.name);
    return guest.holdDisk(flush, client);
  }

  async ping(): Promise<void> {
    await this.#life.running().ping();
  }

  touch(): number {
    return this.#life.running().touch();
  }

  async metrics(): Promise<MetricsMessage> {
    return await this.#life.running().metrics();
  }

  network(): SandboxNetwork {
    const { network } = this.#life.running();
    if (network !== null) return network;
    throw new UnsupportedOperationError(`sandbox ${this.name} has no network`, {
      hint: "Create it without disableNetwork().",
    });
  }

  /** @throws UnsupportedOperationError when it has mounts that its program provides */
  detach(): void {
    requireNoProviders(this.#life.sandbox.record.config.mounts, `sandbox ${this.name}`);
    this.#life.isAttached = false;
  }

  stop(graceMs: number): void {
    this.#log(`stop requested, ${graceMs} ms of grace`);
    this.#life.stop(graceMs, "ShutdownRequested", "a client asked for it");
  }

  kill(): void {
    this.#life.kill();
  }

  /** Resolves when whoever looks sees it. @throws as {@link RunningSandbox.pause}; IoError */
  async pause(calls: PausedCalls, flush: boolean): Promise<void> {
    if (this.state === "draining") throw this.#life.notRunning();
    await this.#life.running().pause(calls, flush);
  }

  async resume(): Promise<void> {
    await this.#life.running().resume();
  }

  /** Resolves when the guest is on the disk; then its machine ends. @throws as {@link Suspending.suspend} */
  async suspend(): Promise<void> {
    const guest = this.#life.running();
    const { facts, end } = this.#life;
    if (facts === null || (end.ending !== null && !this.suspending.isUnderWay)) throw ending(this.name);
    this.#log("suspend requested");
    // Whoever wants its end meanwhile gets this one, unless it fails: then his is the one.
    const takeBack = end.decide("Suspended", "it was suspended", false);
    try {
      await this.suspending.suspend(guest, facts);
    } catch (error) {
      takeBack();
      // That was told meanwhile, and the end that was decided on was to be soon.
      if (guest.isLost && end.ending === null) {
        end.decide("AgentUnresponsive", "the connection to the guest was lost", true);
        guest.kill();
      }
      throw error;
    }
    guest.kill();
  }

  /** Copies the sandbox, which goes on, into a directory that is there. @throws as {@link copySandbox} */
  async capture({ directory, flush, purpose, names }: Omit<CaptureMessage, "type">): Promise<CaptureCost> {
    const cost = await this.#copy(directory, flush);
    const { heldMs, ownBytes } = cost;
    if (purpose === "fork") this.#life.events.lifecycle("forked", { children: names, heldMs, ownBytes });
    // The sandbox that a pool begins with is nobody's.
    else if (purpose === "snapshot")
      this.#life.events.lifecycle("snapshot", { name: names[0] ?? null, heldMs, ownBytes });
    return cost;
  }

  async #copy(directory: string, flush: boolean): Promise<CaptureCost> {
    const guest = this.#life.running();
    const { facts, end, sandbox } = this.#life;
    if (facts === null || end.ending !== null) throw ending(this.name);
    const cost = await copySandbox(sandbox, guest, await facts(), { directory, flush });
    this.#requireNotStopping();
    const { heldMs, ownBytes } = cost;
    this.#log(`copied; held ${heldMs.toFixed(0)} ms, ${ownBytes} bytes of its own`);
    return cost;
  }

  /** What was copied of a guest that shuts down would do so as well. A suspension has waited for the copy. */
  #requireNotStopping(): void {
    const reason = this.#life.end.ending?.reason ?? null;
    if (reason !== null && reason !== "Suspended") throw ending(this.name);
  }

  /** @throws as {@link Checkpoints.make}, and {@link capture} */
  async makeCheckpoint(name: string, flush: boolean): Promise<CaptureCost> {
    const cost = await this.#checkpoints.make(name, (directory) => this.#copy(directory, flush));
    this.#life.events.lifecycle("checkpoint", { name, heldMs: cost.heldMs });
    return cost;
  }

  /**
   * Resolves when the sandbox runs as it was at the checkpoint.
   *
   * @throws as {@link Checkpoints.goBack}: it goes on as it was; what a start throws: it has ended, and the next start goes back
   */
  async rollBack(checkpoint: string): Promise<void> {
    this.#life.requireToGoOn(this.#life.running());
    await this.#checkpoints.goBack(checkpoint, async () => {
      const guest = this.#life.running();
      this.#life.requireToGoOn(guest);
      this.#log(`goes back to the checkpoint ${checkpoint}`);
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      this.#life.goesBack({ network: guest.network?.settings ?? null, resolve, reject });
      guest.leave(`sandbox ${this.name} went back to its checkpoint ${checkpoint}`);
      await promise;
      this.#life.events.lifecycle("rolled-back", { checkpoint });
    });
  }

  /** Resolves when whoever looks sees that the sandbox drains. */
  async drain(): Promise<void> {
    if (this.state === "draining") return;
    const { commands } = this.#life.running();
    await this.resume();
    this.#log(`drain requested, ${commands} commands running`);
    const saved = this.#life.saveInBackground({ status: "draining", reason: "DrainRequested" });
    this.#life.stopWhenDrained();
    await saved;
  }

  /** Resolves when nobody finds the sandbox any more. @throws RuntimeError for one that is to be kept; IoError */
  async discard(): Promise<void> {
    const guest = this.#life.running();
    if (!this.#life.sandbox.record.config.ephemeral)
      throw new RuntimeError(`sandbox ${this.name} is not ephemeral: it can be stopped, and then removed`);
    this.#life.end.decide("Signal", "it was discarded", false);
    this.#life.isAttached = false;
    this.#discarding ??= this.#setAside();
    // The guest takes no time to end that anyone would wait for.
    this.#discarding.catch(() => undefined).finally(() => guest.kill());
    await this.#discarding;
  }

  async #setAside(): Promise<string> {
    await Promise.all([this.#life.stateFile.leaveDisk(), this.#logs.jobs.leaveDisk()]);
    return await setAside(this.#home, this.#life.sandbox.paths, this.id);
  }

  watchState(changed: () => void): () => void {
    return this.#life.stateFile.watch(changed);
  }

  watchLogs(changed: () => void): () => void {
    return watchLogs(this.#logs, changed);
  }

  watchEvents(names: readonly string[], client: Stream): StreamHandler {
    return this.#life.events.watch(names, client);
  }

  async tellInside(event: TellInsideMessage): Promise<ToldInsideMessage> {
    return await this.#life.running().tellInside(event);
  }

  onEnded(callback: (ended: EndedMessage) => void): () => void {
    return this.#life.end.watch(callback);
  }

  #log(message: string): void {
    this.#logs.runtime.write("info", message);
  }
}
