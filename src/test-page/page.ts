// The page at work: connects, finds the others, tests round after round, and tells the gateway what came out.
import { Client } from '../client/index.js';
import { MEASURES_LIMIT, PAIRS_LIMIT } from '../protocol/test-report.js';
import { Acquaintances } from './acquaintances.js';
import { type PeerRows, Row } from './board.js';
import { missingFeatures } from './features.js';
import { type Found, gather } from './gathering.js';
import { FIRST_PATIENCE_MS, GatewayReach } from './gateway-reach.js';
import { Guest, GuestError, type GuestInfo } from './guest.js';
import { Lock } from './lock.js';
import { type About, Neighbours, shortName } from './neighbours.js';
import { Patience } from './patience.js';
import { PeerWays } from './peer-ways.js';
import { tell } from './results.js';
import { hasStun, hasTurn, testRelay, testTransport } from './server-ways.js';
import { browserOf, networkOf } from './this-browser.js';
import type { Evidence, Reach } from './verdict.js';
import type { SectionShown, Shown } from './view.js';
import type { WayResult } from './way-result.js';
import { pause, reasonText, within } from './waiting.js';

/** Others that one round takes in, by chance: each costs seconds and megabytes. */
const PEERS_PER_ROUND = 8;
/** How often a page that is busy is asked in one round, and the first pause between, ms, which doubles; half of each is chance. */
const BUSY_TRIES = 5;
const BUSY_PAUSE_MS = 1_000;

/** Until the page asks for a token anew, ms; by chance, so that many pages do not come at once. */
const RETRY_MS = [5_000, 10_000] as const;
const NO_ANSWER = 'the gateway does not answer';

export class TestPage {
  readonly #onChange: () => void;
  readonly #client: Client;
  readonly #guest = new Guest();
  readonly #transportGuests = { websocket: new Guest(), sse: new Guest() };
  readonly #lock = new Lock();
  readonly #server = { websocket: new Row('websocket'), sse: new Row('sse'), turn: new Row('turn') };
  readonly #peers = new Acquaintances(() => performance.now());
  readonly #patience = new Patience(() => performance.now());
  readonly #missing = missingFeatures(globalThis);
  #neighbours: Neighbours | null = null;
  #peerWays: PeerWays | null = null;
  readonly #reach: GatewayReach;
  /** Why the gateway wants no page from here, in its words; empty where it said nothing. */
  #refusal = '';
  #trouble = NO_ANSWER;
  #opening: Promise<void> | null = null;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #isLeaving = false;
  #found: Found | null = null;
  #tag = '';
  #token = '';
  #isRunning = false;
  #rounds = 0;
  /** What it does now, or why it does nothing. */
  activity = 'connecting';

  /** @param onReturn called where the gateway was away, and is back */
  constructor(onChange: () => void, onReturn: () => void) {
    this.#onChange = onChange;
    this.#reach = new GatewayReach((hasReturned) => {
      if (hasReturned) onReturn();
      onChange();
    });
    this.#client = new Client(location.origin, {
      token: async () => this.#welcome(await this.#guest.fetch()),
    });
    this.#client.on('error', () => undefined);
    this.#client.on('state', (state) => {
      this.#reach.connectionIs(state);
      // By a code that says not to come back.
      if (state === 'closed') this.#tryLater();
      onChange();
    });
  }

  get name(): string {
    return shortName(this.#client.id ?? '');
  }

  get rounds(): number {
    return this.#rounds;
  }

  get isRunning(): boolean {
    return this.#isRunning;
  }

  /** Why there is no gateway, in a few words; empty where there is one, or it is not known yet. */
  get trouble(): string {
    return this.#reach.isReached === false ? this.#trouble : '';
  }

  /** Resolves when the others can be seen; where it fails, it is tried again by itself. */
  #open(): Promise<void> {
    this.#opening ??= this.#enter().catch((error: unknown) => {
      this.#tryLater();
      throw error;
    });
    return this.#opening;
  }

  #tryLater(): void {
    this.#opening = null;
    if (this.#isLeaving) return;
    clearTimeout(this.#retry);
    const ms = RETRY_MS[0] + Math.random() * (RETRY_MS[1] - RETRY_MS[0]);
    this.#retry = setTimeout(() => void this.#open().catch(() => undefined), ms);
  }

  async #enter(): Promise<void> {
    let room: string;
    try {
      // Asked first, so that a refusal is told: the client would try again and again.
      ({ room } = await this.#guest.fetch());
      this.#refusal = '';
      this.#trouble = NO_ANSWER;
    } catch (error) {
      this.#trouble = reasonText(error);
      this.#refusal = error instanceof GuestError ? error.refusal : '';
      this.#reach.found(false);
      throw error;
    }
    // A gateway that was started anew may have another key or version: this page's token and script are of before.
    if (this.#client.state === 'closed' && this.#neighbours !== null) {
      location.reload();
      throw new Error('the page is loaded anew');
    }
    await this.#client.connect();
    this.#neighbours ??= this.#meetIn(room);
    await this.#neighbours.join();
  }

  #meetIn(room: string): Neighbours {
    const neighbours = new Neighbours(
      this.#client,
      room,
      () => this.#about(),
      () => {
        for (const { id, about } of neighbours.list) this.#remember(id, about);
        this.#onChange();
      },
    );
    this.#peerWays = new PeerWays(this.#client, this.#lock, (id) => neighbours.isThere(id));
    return neighbours;
  }

  /** Leaves, so that others see at once that it is gone. */
  close(): void {
    this.#isLeaving = true;
    void this.#client.close();
  }

  /** Those whom no round has taken in yet. */
  get hasNewcomers(): boolean {
    return (this.#neighbours?.list ?? []).some(({ id }) => this.#isNewcomer(id) && this.#canTest(id));
  }

  /** Forgets those who left a while ago; not in the middle of a round, which has to tell what it found. */
  forget(): void {
    if (this.#isRunning) return;
    this.#patience.keepOnly((id) => this.#isHere(id));
    if (this.#peers.look((id) => this.#isHere(id))) this.#onChange();
  }

  /** Everything once; with `onlyNew`, only those who came since. Nothing where a round runs. */
  async round(onlyNew = false): Promise<void> {
    if (this.#isRunning) return;
    this.#isRunning = true;
    try {
      // Where it takes longer, what the ways say comes first.
      await within(this.#open(), FIRST_PATIENCE_MS).catch(() => undefined);
      if (!onlyNew) await this.#testServer();
      await this.#testPeers(onlyNew);
      if (!onlyNew) this.#rounds++;
      await this.#report();
    } finally {
      this.#isRunning = false;
      this.#do('waiting for the next round');
    }
  }

  shown(): Shown {
    const server: SectionShown = { peer: null, rows: Object.values(this.#server).map((row) => row.view()) };
    const peers = this.#peers.list.map(([id, { rows, about }]): SectionShown => ({
      peer: {
        ...(about ?? UNKNOWN),
        name: shortName(id),
        sameNetwork: rows.sameNetwork,
        isHere: this.#isHere(id),
      },
      rows: rows.rows.map((row) => row.view()),
    }));
    return {
      evidence: this.evidence,
      refusal: this.#refusal,
      about: this.#about(),
      missing: this.#missing,
      sections: [server, ...peers],
      past: this.#peers.past,
      lines: this.#lines(),
    };
  }

  get evidence(): Evidence {
    const { iceServers } = this.#client;
    return {
      hasWebRTC: !this.#missing.includes('webrtc'),
      isSecure: !this.#missing.includes('secure'),
      isConnected: this.#reach.isReached,
      isRefused: this.#refusal !== '',
      websocket: reachOf(this.#server.websocket),
      sse: reachOf(this.#server.sse),
      found: this.#found,
      servers: { stun: hasStun(iceServers) || hasTurn(iceServers), turn: hasTurn(iceServers) },
      pairs: this.#peers.pairs,
    };
  }

  #welcome({ token, network }: GuestInfo): string {
    this.#tag = network;
    this.#token = token;
    return token;
  }

  #about(): About {
    const connection: unknown = Reflect.get(navigator, 'connection');
    return {
      ...browserOf(navigator.userAgent),
      network: networkOf(connection),
      hasWebRTC: !this.#missing.includes('webrtc'),
      tag: this.#tag,
    };
  }

  #do(activity: string): void {
    this.activity = activity;
    this.#onChange();
  }

  async #testServer(): Promise<void> {
    const { websocket, sse, turn } = this.#server;
    const { hasWebRTC } = this.evidence;
    // What is loaded late shall not count as set-up.
    await import('../client/ways.js').catch(() => undefined);
    await this.#alone('testing the WebSocket', websocket, () =>
      testTransport('websocket', this.#transportGuests.websocket),
    );
    await this.#alone('testing the event stream', sse, () => testTransport('sse', this.#transportGuests.sse));
    await this.#concludeReach();
    if (!hasWebRTC) {
      this.#skip(turn, 'no WebRTC');
      return;
    }
    this.#do('looking for ways through the network');
    this.#found = await gather(this.#client.iceServers).catch(() => null);
    if (hasTurn(this.#client.iceServers))
      await this.#alone('testing the relay', turn, () => testRelay(this.#client.iceServers));
    else this.#skip(turn, 'the gateway has none');
  }

  async #concludeReach(): Promise<void> {
    const { websocket, sse } = this.#server;
    if (websocket.status === 'ok' || sse.status === 'ok') this.#reach.found(true);
    // Polls may be the only way: then plain requests are answered, and the page's own connection tells.
    else await this.#guest.fetch().catch(() => this.#reach.found(false));
  }

  #skip(row: Row, note: string): void {
    row.skip(note);
    this.#onChange();
  }

  async #alone(activity: string, row: Row, test: () => Promise<WayResult>): Promise<void> {
    const release = await this.#lock.take();
    this.#do(activity);
    row.run();
    try {
      row.take(await test(), ['', '']);
    } finally {
      release();
      this.#onChange();
    }
  }

  /** Whether it came out how this one is reached. */
  #isKnown(id: string): boolean {
    return (this.#peers.get(id)?.rows.pair ?? null) !== null;
  }

  #isHere(id: string): boolean {
    return this.#neighbours?.get(id) !== undefined;
  }

  #isNewcomer(id: string): boolean {
    return !this.#isKnown(id) && this.#patience.isOver(id);
  }

  #canTest(id: string): boolean {
    const canCall = this.evidence.hasWebRTC && this.#neighbours?.get(id)?.about?.hasWebRTC === true;
    return canCall && this.#client.state === 'connected';
  }

  async #testPeers(onlyNew: boolean): Promise<void> {
    if (!onlyNew) await this.#neighbours?.askAgain();
    const neighbours = this.#neighbours?.list ?? [];
    const chosen = neighbours
      .filter(({ id }) => this.#canTest(id) && (!onlyNew || this.#isNewcomer(id)))
      .map(({ id }) => ({ id, order: Math.random() }))
      .sort((a, b) => a.order - b.order)
      .slice(0, PEERS_PER_ROUND);
    for (const { id } of chosen) if (this.#canTest(id)) await this.#testPeer(id);
  }

  #remember(id: string, about: About | null): void {
    const rows = this.#peers.meet(id, about);
    const reason = !this.evidence.hasWebRTC
      ? 'no WebRTC in this browser'
      : about?.hasWebRTC === false
        ? 'no WebRTC in that browser'
        : '';
    if (reason !== '') for (const row of rows.rows) this.#skip(row, reason);
  }

  async #testPeer(id: string): Promise<void> {
    const rows = this.#peers.get(id)?.rows;
    if (rows === undefined) return;
    const isDirect = await this.#tryPeer(id, rows, 'direct');
    if (isDirect === null) return;
    if (hasTurn(this.#client.iceServers)) await this.#tryPeer(id, rows, 'relay', !isDirect);
    else this.#skip(rows.relay, 'the gateway has none');
  }

  /** True where it worked, false where it did not, null where it could not be tried. */
  async #tryPeer(
    id: string,
    rows: PeerRows,
    kind: 'direct' | 'relay',
    withVideo = true,
  ): Promise<boolean | null> {
    const ways = this.#peerWays;
    if (ways === null) return null;
    const tags = [this.#tag, this.#peers.get(id)?.about?.tag ?? ''] as const;
    for (let attempt = 0; attempt < BUSY_TRIES && this.#isHere(id); attempt++) {
      const release = await this.#lock.take();
      this.#do(`testing ${kind === 'direct' ? 'the direct way' : 'the relay'} to ${shortName(id)}`);
      rows[kind].run();
      if (withVideo) rows.media.run();
      try {
        const { channel, media } = await ways.test(id, kind, withVideo);
        rows[kind].take(channel, tags);
        if (withVideo) rows.takeVideo(channel.status, media, tags);
        if (channel.status === 'ok' || channel.status === 'failed') {
          this.#patience.forget(id);
          return channel.status === 'ok';
        }
        // Nobody was busy: it is asked again when the gateway is back.
        if (channel.status === 'away') return null;
      } finally {
        release();
        this.#onChange();
      }
      if (attempt < BUSY_TRIES - 1) await pause(BUSY_PAUSE_MS * 2 ** attempt * (0.5 + Math.random() / 2));
    }
    this.#patience.wasBusy(id);
    return null;
  }

  #lines(): Shown['lines'] {
    const names = { websocket: 'WebSocket', sse: 'Event stream', turn: 'Relay and back' };
    const server = Object.values(this.#server).map((row) => ({
      name: names[row.way as keyof typeof names],
      points: row.history,
    }));
    return [...server, ...this.#peers.lines];
  }

  async #report(): Promise<void> {
    const { browser, platform, network } = this.#about();
    const peers = this.#peers.list.map(([, { rows }]) => rows);
    const server = Object.values(this.#server).flatMap((row) => row.takeUnreported());
    const measures = [...server, ...peers.flatMap((peer) => peer.takeMeasures())].slice(0, MEASURES_LIMIT);
    const pairs = peers.flatMap((peer) => peer.takeUnreported()).slice(0, PAIRS_LIMIT);
    await tell({ browser, platform, network, measures, pairs }, this.#token);
  }
}

const UNKNOWN = { browser: 'other', platform: 'other', network: 'unknown' } as const;

function reachOf({ status }: Row): Reach {
  return status === 'ok' || status === 'failed' ? status : 'unknown';
}
