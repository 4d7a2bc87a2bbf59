// The services that this client provides: takes calls, each once, and answers again where a lost connection may have taken the answer along.
import { GatewayError } from '../../protocol/errors.js';
import type { CalledFrame, OwnersFrame } from '../../protocol/frame.js';
import { isServiceName } from '../../protocol/ids.js';
import { REQUEST_TIMEOUT_LIMIT_MS } from '../../protocol/limits.js';
import type { CallOptions } from '../call-options.js';
import type { Caller } from '../caller.js';
import type { Environment } from '../environment.js';
import type { RequestHandler } from '../events.js';
import type { Intake } from '../intake.js';
import type { LateCode } from '../late-code.js';
import { Listeners } from '../listeners.js';

/** How a service is provided. */
export interface ProvideOptions extends Pick<CallOptions, 'signal'> {
  /** Most calls that the handler works on at once; further ones go to other providers, or reject with `busy`. Default: as many as the gateway sends. */
  concurrency?: number;
}
/** `present`: whether the service has a provider; `providers`: how many. */
export type OwnerHandler = (present: boolean, providers: number) => unknown;
/** Answers a call of a service: what it returns is the answer. */
export type ServiceHandler = RequestHandler<unknown, unknown>;

export interface ServicesPort {
  /** The room of that name. */
  readonly room: (name: string) => {
    join(options?: CallOptions): Promise<void>;
    leave(options?: CallOptions): Promise<void>;
  };
  readonly caller: Caller;
  readonly late: LateCode;
  readonly decode: Intake['decode'];
  readonly exposeErrors: boolean;
  readonly clock: Environment;
}

interface Provider {
  readonly handler: ServiceHandler;
  limit: number;
  running: number;
  onIdle: () => void;
}

/**
 * Results that are kept to be given again, the newest: a call comes again only when its provider's connection was lost. As many as a
 * gateway has a provider work on at once, by its own setting: what is older was answered on a connection that stood.
 */
const FINISHED_LIMIT = 1024;

export class Services {
  readonly #port: ServicesPort;
  readonly #providers = new Map<string, Provider>();
  readonly #running = new Set<string>();
  readonly #finished = new Map<string, () => unknown>();
  readonly #owners: Listeners<Record<string, [present: boolean, providers: number]>>;
  /** Providers of the services of topics, as the gateway last said. */
  readonly #counts = new Map<string, number>();

  constructor(port: ServicesPort) {
    this.#port = port;
    this.#owners = new Listeners(port.caller.report);
  }

  /** See `Client.provide`. */
  async provide(
    name: string,
    handler: ServiceHandler,
    { concurrency = Infinity, signal }: ProvideOptions = {},
  ): Promise<() => Promise<void>> {
    if (!isServiceName(name)) throw new TypeError(`Not the name of a service: ${name}`);
    if (!(concurrency >= 1)) throw new TypeError('options.concurrency must be at least 1');
    if (this.#providers.has(name)) throw new TypeError(`This client provides ${name} already.`);
    const provider: Provider = { handler, limit: concurrency, running: 0, onIdle: () => {} };
    // Before it is known: calls may come with the answer.
    this.#providers.set(name, provider);
    const room = this.#port.room(`~${name}~`);
    try {
      await room.join(signal === undefined ? {} : { signal });
    } catch (error) {
      this.#providers.delete(name);
      throw error;
    }
    let withdrawn: Promise<void> | null = null;
    return () => (withdrawn ??= this.#withdraw(name, provider, () => room.leave()));
  }

  /** See `Client.onOwner`. */
  onOwner(service: string, handler: OwnerHandler): () => void {
    const count = this.#counts.get(service);
    if (count !== undefined) handler(count > 0, count);
    return this.#owners.add(service, handler);
  }

  owners({ service, count }: OwnersFrame): void {
    const before = this.#counts.get(service);
    this.#counts.set(service, count);
    if (before === undefined || before > 0 !== count > 0) this.#owners.emit(service, count > 0, count);
  }

  called(frame: CalledFrame): void {
    const { handle } = frame;
    if (this.#running.has(handle)) return;
    this.#running.add(handle);
    const { late, caller, exposeErrors, decode } = this.#port;
    late.use(({ Responder }) => {
      const responder = (run: ServiceHandler): InstanceType<typeof Responder> =>
        new Responder(caller, new Map([[frame.event, run]]), exposeErrors);
      const done = (): boolean => this.#running.delete(handle);
      decode(
        frame,
        (...message) =>
          void responder((...call) => this.#run(handle, ...call))
            .answer(handle, ...message)
            .finally(done),
        (error) =>
          void responder(() => {})
            .unreadable(handle, error)
            .finally(done),
      );
    }, caller.report);
  }

  /** The client is closed: it provides nothing any more. */
  close(): void {
    for (const { onIdle } of this.#providers.values()) onIdle();
    this.#providers.clear();
    this.end();
  }

  /** The session is another one: nobody waits for what it was asked. */
  end(): void {
    this.#running.clear();
    this.#finished.clear();
    this.#counts.clear();
  }

  async #run(handle: string, ...call: Parameters<ServiceHandler>): Promise<unknown> {
    const finished = this.#finished.get(handle);
    if (finished !== undefined) return finished();
    const provider = this.#providers.get(call[2].event);
    // Both say that nothing was executed: the call goes to another provider.
    if (provider === undefined) throw new GatewayError('no_handler');
    if (provider.running >= provider.limit) throw new GatewayError('busy');
    provider.running++;
    try {
      const result = await provider.handler(...call);
      this.#keep(handle, () => result);
      return result;
    } catch (error) {
      this.#keep(handle, () => {
        throw error;
      });
      throw error;
    } finally {
      if (--provider.running === 0) provider.onIdle();
    }
  }

  #keep(handle: string, result: () => unknown): void {
    this.#finished.set(handle, result);
    const [oldest] = this.#finished.keys();
    if (this.#finished.size > FINISHED_LIMIT && oldest !== undefined) this.#finished.delete(oldest);
  }

  /** Takes no more calls, lets those end that run, and goes. */
  async #withdraw(name: string, provider: Provider, leave: () => Promise<void>): Promise<void> {
    provider.limit = 0;
    if (provider.running > 0) {
      await new Promise<void>((resolve) => {
        const cancel = this.#port.clock.after(REQUEST_TIMEOUT_LIMIT_MS, resolve);
        provider.onIdle = () => {
          cancel();
          resolve();
        };
      });
    }
    await leave().catch((error: unknown) => {
      // A client that is closed provides nothing.
      if (!(error instanceof GatewayError) || error.code !== 'closed') throw error;
    });
    if (this.#providers.get(name) === provider) this.#providers.delete(name);
  }
}
