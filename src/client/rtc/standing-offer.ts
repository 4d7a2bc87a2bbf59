// The standing offer of a client that takes calls: a connection of its own, offered before anybody calls, and always a fresh one.
import { GatewayError } from '../../protocol/errors.js';
import type { Caller } from '../caller.js';
import type { Environment } from '../environment.js';
import { addressOf } from './candidates.js';
import type { Crossing } from './crossing.js';
import { randomId } from './dialogue.js';
import type { GatewayClient } from './gateway-signaling.js';
import { asFullAgent, offerAsControlled } from './ice-role.js';
import { CANDIDATES_LIMIT, type Signal, SIGNAL_EVENT } from './signal.js';
import { fullConfiguration } from './spare-connection.js';
import { SILENT_CHANNEL, type Standing } from './standing.js';
import { watchSurroundings } from './surroundings.js';

/** How long the gathering of candidates is waited for, ms: what comes later follows when it is taken. */
const GATHER_MS = 1_000;
/** After one was taken the next is made, when that call has usually connected, ms; nor are two made closer together for any reason. */
const NEXT_AFTER_MS = 1_000;
/** The same, doubled for each in a row that was taken and did not connect, ms at most: whoever may send can take them, and each costs sockets. */
const NEXT_AFTER_LIMIT_MS = 60_000;
/** Who was called before there was a connection, or before this client said of its calls that they are, hears of it by then, ms. */
const CALLED_MS = 5_000;
/** How long one stands, ms: less than what is left of TURN credentials when they are renewed, by default, and NATs forget. */
const RENEW_MS = 5 * 60_000;
/** One that was replaced may have been taken a moment before, or its taker has not been heard for the gap in the connection, ms. */
const KEEP_REPLACED_MS = 30_000;
/** Most of them, since each has sockets: a line that flaps and a network whose measures move replace one each second. */
const KEPT_LIMIT = 8;
/** Longest description, characters: the gateway takes 8 KiB of JSON. Of many relays the last follow when it is taken. */
const SDP_LIMIT_CHARACTERS = 7_000;

export class StandingOffer {
  readonly #client: GatewayClient;
  readonly #crossing: Crossing;
  readonly #calls: Pick<Caller, 'call'>;
  readonly #environment: Environment;
  readonly #configuration: () => RTCConfiguration;
  readonly #over = new AbortController();
  readonly #stopListening: () => void;
  #current: Standing | null = null;
  /** Those that were taken or replaced and whose taker may still come, with what cancels their end. */
  readonly #kept = new Map<Standing, () => void>();
  /** Counts those that were begun: only the last one is put up. */
  #made = 0;
  /** When the last one was begun. */
  #madeAt = -Infinity;
  /** Taken ones in a row that have not connected. */
  #misses = 0;
  /** The gateway knows nothing of standing offers; the one of the next connection may. */
  #isStranger = false;
  #cancelRenewal: () => void = () => {};

  /** @param configuration of the connection, as it is when one is made */
  constructor(
    client: GatewayClient,
    crossing: Crossing,
    calls: Pick<Caller, 'call'>,
    environment: Environment,
    configuration: () => RTCConfiguration,
  ) {
    this.#client = client;
    this.#crossing = crossing;
    this.#calls = calls;
    this.#environment = environment;
    this.#configuration = configuration;
    // The gateway has forgotten the last one with the connection, and whom this client called.
    this.#stopListening = client.on('state', (state) => {
      if (state === 'connected') this.#begin();
      else if (state === 'closed') this.#rest();
    });
    watchSurroundings(this.#over.signal, {
      networkChanged: (isOther) => isOther && this.#renew(),
      goneAway: () => {},
    });
    this.#begin();
  }

  /** Takes it back. Who was given it a moment ago and calls is told that nobody is there. */
  close(): void {
    if (this.#over.signal.aborted) return;
    this.#over.abort();
    this.#takeBack();
    this.#leaveWhenDone();
    if (this.#client.state === 'connected') void this.#put(null, null);
  }

  /** The client is closed, and nobody can take anything any more; it may connect again. */
  #rest(): void {
    this.#takeBack();
    for (const standing of [...this.#kept.keys()]) this.#release(standing);
  }

  #takeBack(): void {
    this.#made++;
    this.#cancelRenewal();
    if (this.#current !== null) this.#keep(this.#current);
    this.#current = null;
  }

  #begin(): void {
    if (this.#client.state !== 'connected' || this.#over.signal.aborted) return;
    this.#isStranger = false;
    if (this.#crossing.isCalling) this.#renewIn(CALLED_MS);
    else this.#renew();
  }

  #renewIn(ms: number): void {
    this.#cancelRenewal();
    this.#cancelRenewal = this.#environment.after(ms, () => this.#renew());
  }

  #renew(): void {
    if (this.#client.state !== 'connected' || this.#isStranger) return;
    const rest = this.#madeAt + NEXT_AFTER_MS - this.#environment.now();
    // The clock may have been set back.
    if (rest > 0 && rest <= NEXT_AFTER_MS) return this.#renewIn(rest);
    this.#madeAt = this.#environment.now();
    this.#renewIn(RENEW_MS);
    // Where the platform cannot make one all calls are ordinary ones.
    this.#putUp(++this.#made).catch(() => {});
  }

  async #putUp(turn: number): Promise<void> {
    const connection = new RTCPeerConnection(fullConfiguration(this.#configuration()));
    const gathered: RTCIceCandidate[] = [];
    let take = (candidate: RTCIceCandidate): void => {
      if (gathered.length < CANDIDATES_LIMIT) gathered.push(candidate);
    };
    connection.addEventListener('icecandidate', ({ candidate }) => candidate && take(candidate));
    try {
      // An offer with a data section is what every call begins with.
      connection.createDataChannel('', { negotiated: true, id: SILENT_CHANNEL });
      await offerAsControlled(connection);
      await this.#gathered(connection);
    } catch (error) {
      connection.close();
      throw error;
    }
    // Another one was begun since, or none is wanted any more.
    if (turn !== this.#made) {
      connection.close();
      return;
    }
    const sdp = fitting(asFullAgent(connection.localDescription?.sdp ?? ''));
    const id = randomId();
    const first = { type: 'offer', round: 1, sdp, standing: true } as const;
    const foundLater = gathered.filter(({ candidate }) => !sdp.includes(addressOf(candidate)));
    take = (candidate) => {
      if (foundLater.length < CANDIDATES_LIMIT) foundLater.push(candidate);
    };
    const standing: Standing = {
      id,
      connection,
      first,
      foundLater,
      onTaken: () => {
        // It is the taker's now, whatever becomes of the call.
        if (this.#current !== standing) return;
        this.#current = null;
        // Where its taker is never heard, it is closed.
        this.#keep(standing);
        this.#next(connection);
      },
    };
    if (this.#current !== null) this.#keep(this.#current);
    this.#current = standing;
    this.#crossing.stand(standing);
    const refusal = await this.#put(id, { ...first, route: [id, null, 1, 0] });
    // Nobody can take it, so its sockets are for nobody; the next renewal tries again.
    if (refusal !== null && this.#current === standing) this.#refused(standing, refusal);
  }

  #refused(standing: Standing, code: string): void {
    this.#current = null;
    this.#crossing.withdraw(standing);
    if (code !== 'unknown_type') return;
    this.#isStranger = true;
    this.#cancelRenewal();
  }

  /** That one was taken. */
  #next(taken: RTCPeerConnection): void {
    this.#renewIn(Math.min(NEXT_AFTER_MS * 2 ** this.#misses++, NEXT_AFTER_LIMIT_MS));
    const look = (): void => {
      if (taken.connectionState !== 'connected') return;
      taken.removeEventListener('connectionstatechange', look);
      const areDue = this.#misses > 1;
      this.#misses = 0;
      if (areDue && this.#current === null && !this.#over.signal.aborted) this.#renewIn(NEXT_AFTER_MS);
    };
    taken.addEventListener('connectionstatechange', look);
  }

  /** Resolves to the code of a refusal; null where the gateway has it, or may have. */
  #put(id: string | null, signal: Signal | null): Promise<string | null> {
    return this.#calls
      .call({ whenOffline: 'fail' }, (verbs, made) => verbs.stand(id, SIGNAL_EVENT, signal, made))
      .then(
        () => null,
        (error: unknown) =>
          error instanceof GatewayError && error.code !== 'unknown_outcome' ? error.code : null,
      );
  }

  #keep(standing: Standing): void {
    const cancel = this.#environment.after(KEEP_REPLACED_MS, () => this.#release(standing));
    this.#kept.set(standing, cancel);
    const [oldest] = this.#kept.keys();
    if (oldest !== undefined && this.#kept.size > KEPT_LIMIT) this.#release(oldest);
  }

  #release(standing: Standing): void {
    this.#kept.get(standing)?.();
    this.#kept.delete(standing);
    this.#crossing.withdraw(standing);
    this.#leaveWhenDone();
  }

  #leaveWhenDone(): void {
    if (this.#over.signal.aborted && this.#kept.size === 0) this.#stopListening();
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

/** Without its last candidates, as far as it is too long. */
function fitting(sdp: string): string {
  const lines = sdp.split('\n');
  let length = sdp.length;
  while (length > SDP_LIMIT_CHARACTERS) {
    const at = lines.findLastIndex((line) => line.startsWith('a=candidate:'));
    if (at < 0) break;
    const [cut = ''] = lines.splice(at, 1);
    length -= cut.length + 1;
  }
  if (length === sdp.length) return sdp;
  return lines.filter((line) => !line.startsWith('a=end-of-candidates')).join('\n');
}
