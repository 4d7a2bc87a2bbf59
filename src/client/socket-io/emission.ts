// One emit on its way: to whom, how it travels, and what becomes of its acknowledgement.
import type { Code } from '../../protocol/codes.js';
import { GatewayError } from '../../protocol/errors.js';
import type { Client } from '../client.js';
import { toName } from './names.js';

/** How and to whom the next `emit` goes. */
export interface Flags {
  readonly volatile?: boolean;
  /** Of the acknowledgement, ms. */
  readonly timeoutMs?: number;
  /** Rooms, and sessions by their `socket.id`. */
  readonly targets?: readonly string[];
  /** Client ids that do not get it. */
  readonly except?: readonly string[];
}

/** What an emission has of its socket. */
export interface EmissionPort {
  readonly client: Client;
  /** The backend's client id; undefined without one. */
  readonly server: string | undefined;
  /** What no promise and no callback could tell. */
  failed(error: unknown, event: string, args: readonly unknown[]): void;
}

type Ack = (...args: unknown[]) => unknown;

/** What becomes of a volatile message without a connection. */
const DROPPED = new Set<Code>(['offline', 'closed', 'queue_full']);

/** Events that are told by the socket itself. */
export const RESERVED = ['connect', 'connect_error', 'disconnect', 'emit_error'] as const;

/** `socket.volatile`, `socket.timeout(5000)`, `socket.to('room')`: an `emit` with what was said before it. */
export class Emission {
  readonly #port: EmissionPort;
  readonly #flags: Flags;

  /** @internal */
  constructor(port: EmissionPort, flags: Flags) {
    this.#port = port;
    this.#flags = flags;
  }

  /** Only if it can be written now; at most once, and not confirmed. */
  get volatile(): Emission {
    return this.#with({ volatile: true });
  }

  /** The acknowledgement gets an error first, `timeout` after so many ms; at most 120 000. */
  timeout(ms: number): Emission {
    return this.#with({ timeoutMs: ms });
  }

  /** To a room, without this session; or, by its `socket.id`, to one session of any client. May be said several times. */
  to(target: string): Emission {
    return this.#with({ targets: [...(this.#flags.targets ?? []), target] });
  }

  /** Not to these clients (their ids, not their sockets'); for rooms. */
  except(...clients: string[]): Emission {
    return this.#with({ except: [...(this.#flags.except ?? []), ...clients] });
  }

  /**
   * Sends the event. With a function as the last argument that is called with what the other side acknowledges: after `timeout()` with an
   * error first. What fails otherwise is told by `emit_error`.
   * @throws TypeError for a reserved event, without a server, and for an acknowledgement of a room
   */
  emit(event: string, ...args: unknown[]): void {
    const last = args.at(-1);
    if (typeof last === 'function') this.#ask(event, args.slice(0, -1), last as Ack);
    else this.#send(event, args);
  }

  /** Sends the event and resolves with the first argument of the acknowledgement; rejects with `timeout`, `not_found`, `no_handler`, … */
  async emitWithAck(event: string, ...args: unknown[]): Promise<unknown> {
    return (await this.#request(event, args))[0];
  }

  #with(flags: Flags): Emission {
    return new Emission(this.#port, { ...this.#flags, ...flags });
  }

  #ask(event: string, args: readonly unknown[], ack: Ack): void {
    const { timeoutMs } = this.#flags;
    this.#request(event, args)
      .then(
        (answer) => (timeoutMs === undefined ? ack(...answer) : ack(null, ...answer)),
        (error: unknown) =>
          timeoutMs === undefined ? this.#port.failed(error, event, args) : void ack(error),
      )
      .catch((error: unknown) => this.#port.failed(error, event, args));
  }

  async #request(event: string, args: readonly unknown[]): Promise<unknown[]> {
    const { timeoutMs, volatile, targets = [] } = this.#flags;
    const [to = this.#port.server, ...others] = targets;
    if (to === undefined) throw this.#homeless();
    if (others.length > 0 || (targets.length > 0 && !to.includes('#')))
      throw new TypeError('Only one socket can acknowledge: not a room.');
    const answer = await this.#port.client.request(to, nameOf(event), args, {
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
      ...(volatile ? { whenOffline: 'fail' } : {}),
    });
    return argumentsOf(answer);
  }

  #send(event: string, args: readonly unknown[]): void {
    const { client, server } = this.#port;
    const { targets, volatile = false, except } = this.#flags;
    const name = nameOf(event);
    if (targets === undefined && server === undefined) throw this.#homeless();
    for (const target of targets ?? [server ?? '']) {
      const sent =
        targets === undefined || target.includes('#')
          ? client.send(target, name, args, { volatile })
          : client
              .room(toName(target))
              .publish(name, args, { volatile, self: false, ...(except === undefined ? {} : { except }) });
      sent.catch((error: unknown) => {
        // That is what volatile means.
        const isDropped = error instanceof GatewayError && DROPPED.has(error.code);
        if (!volatile || !isDropped) this.#port.failed(error, event, args);
      });
    }
  }

  #homeless(): TypeError {
    return new TypeError('emit() without to() goes to the backend: name it by the option server.');
  }
}

/** @throws TypeError for what the socket itself tells */
function nameOf(event: string): string {
  if (RESERVED.some((reserved) => reserved === event)) throw new TypeError(`"${event}" is a reserved event.`);
  return toName(event);
}

/** Arguments travel as an array; what another SDK sent as one value is one argument. */
export function argumentsOf(data: unknown): unknown[] {
  if (data === undefined) return [];
  return Array.isArray(data) ? (data as unknown[]) : [data];
}
