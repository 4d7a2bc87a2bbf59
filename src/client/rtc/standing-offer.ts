// The standing offer of a client that takes calls: a connection of its own, offered before anybody calls, and always a fresh one.
import type { Caller } from '../caller.js';
import type { Environment } from '../environment.js';
import { randomId } from './dialogue.js';
import type { GatewayClient, GatewaySignaling } from './gateway-signaling.js';
import { type Signal, SIGNAL_EVENT } from './signal.js';
import { fullConfiguration } from './spare-connection.js';
import { SILENT_CHANNEL, type Standing } from './standing.js';
import { watchSurroundings } from './surroundings.js';

/** How long the gathering of candidates is waited for, ms: what comes later follows when it is taken. */
const GATHER_MS = 1_000;
/** After one was taken the next is made, when that call has usually connected, ms. */
const NEXT_AFTER_MS = 1_000;
/** How long one stands, ms: less than what is left of TURN credentials when they are renewed, by default, and NATs forget. */
const RENEW_MS = 5 * 60_000;
/** One that was replaced may have been taken a moment before, or its taker has not been heard for the gap in the connection, ms. */
const KEEP_REPLACED_MS = 30_000;

export class StandingOffer {
  readonly #client: GatewayClient;
  readonly #signaling: GatewaySignaling;
  readonly #calls: Pick<Caller, 'call'>;
  readonly #environment: Environment;
  readonly #configuration: () => RTCConfiguration;
  readonly #over = new AbortController();
  #current: Standing | null = null;
  /** Counts those that were begun: only the last one is put up. */
  #made = 0;
  #cancelRenewal: () => void = () => {};

  /** @param configuration of the connection, as it is when one is made */
  constructor(
    client: GatewayClient,
    signaling: GatewaySignaling,
    calls: Pick<Caller, 'call'>,
    environment: Environment,
    configuration: () => RTCConfiguration,
  ) {
    this.#client = client;
    this.#signaling = signaling;
    this.#calls = calls;
    this.#environment = environment;
    this.#configuration = configuration;
    // The gateway has forgotten the last one with the connection.
    const stop = client.on('state', (state) => {
      if (state === 'connected') this.#renew();
      else if (state === 'closed') this.close();
    });
    this.#over.signal.addEventListener('abort', stop);
    watchSurroundings(this.#over.signal, {
      networkChanged: (isOther) => isOther && this.#renew(),
      goneAway: () => {},
    });
    this.#renew();
  }

  /** Takes it back; one that was handed out a moment ago is answered nevertheless. */
  close(): void {
    this.#over.abort();
    this.#made++;
    this.#cancelRenewal();
    this.#replace(null);
    if (this.#client.state === 'connected') void this.#put(null, null);
  }

  #renewIn(ms: number): void {
    this.#cancelRenewal();
    this.#cancelRenewal = this.#environment.after(ms, () => this.#renew());
  }

  #renew(): void {
    if (this.#client.state !== 'connected') return;
    this.#renewIn(RENEW_MS);
    // Where the platform cannot make one all calls are ordinary ones.
    this.#putUp(++this.#made).catch(() => {});
  }

  async #putUp(turn: number): Promise<void> {
    const connection = new RTCPeerConnection(fullConfiguration(this.#configuration()));
    // An offer with a data section is what every call begins with.
    connection.createDataChannel('', { negotiated: true, id: SILENT_CHANNEL });
    await connection.setLocalDescription();
    await this.#gathered(connection);
    // Another one was begun since, or none is wanted any more.
    if (turn !== this.#made) {
      connection.close();
      return;
    }
    const sdp = connection.localDescription?.sdp ?? '';
    const id = randomId();
    const first = { type: 'offer', round: 1, sdp, standing: true } as const;
    const standing: Standing = {
      id,
      connection,
      first,
      onTaken: () => {
        // It is the taker's now, whatever becomes of the call.
        if (this.#current !== standing) return;
        // Where its taker is never heard, it is closed.
        this.#replace(null);
        this.#renewIn(NEXT_AFTER_MS);
      },
    };
    this.#replace(standing);
    this.#signaling.stand(standing);
    await this.#put(id, { ...first, route: [id, null, 1, 0] });
  }

  /** What the gateway refuses, nobody takes: the next renewal tries again. */
  #put(id: string | null, signal: Signal | null): Promise<void> {
    return this.#calls
      .call({ whenOffline: 'fail' }, (verbs, made) => verbs.stand(id, SIGNAL_EVENT, signal, made))
      .catch(() => {});
  }

  #replace(next: Standing | null): void {
    const replaced = this.#current;
    this.#current = next;
    if (replaced !== null)
      this.#environment.after(KEEP_REPLACED_MS, () => this.#signaling.withdraw(replaced));
  }

  #gathered(connection: RTCPeerConnection): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#environment.after(GATHER_MS, resolve);
      const look = (): void => {
        if (connection.iceGatheringState !== 'complete') return;
        cancel();
        resolve();
      };
      connection.addEventListener('icegatheringstatechange', look);
      look();
    });
  }
}
