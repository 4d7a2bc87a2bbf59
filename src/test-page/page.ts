// The page at work: connects, finds the others, tests round after round, and tells the gateway what came out.
import { Client } from '../client/index.js';
import { MEASURES_LIMIT, PAIRS_LIMIT, type TestReport, type TestSummary } from '../protocol/test-report.js';
import { Acquaintances } from './acquaintances.js';
import { type PeerRows, Row } from './board.js';
import { missingFeatures } from './features.js';
import { type Found, gather } from './gathering.js';
import { Guest, type GuestInfo } from './guest.js';
import { Lock } from './lock.js';
import { type About, Neighbours, shortName } from './neighbours.js';
import { Patience } from './patience.js';
import { PeerWays } from './peer-ways.js';
import { hasStun, hasTurn, testRelay, testTransport } from './server-ways.js';
import type { Snapshot } from './share.js';
import { browserOf, networkOf } from './this-browser.js';
import type { Evidence, Reach } from './verdict.js';
import type { SectionShown, Shown } from './view.js';
import { pause, reasonText } from './waiting.js';

/** Others that one round takes in, by chance: each costs seconds and megabytes. */
const PEERS_PER_ROUND = 8;
/** How often a page that is busy is asked in one round, and the first pause between, ms, which doubles; half of each is chance. */
const BUSY_TRIES = 5;
const BUSY_PAUSE_MS = 1_000;
/** Without a connection by then, the gateway counts as not reached; the page goes on trying. */
const CONNECT_PATIENCE_MS = 20_000;

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
  #isConnected: boolean | null = null;
  #found: Found | null = null;
  #tag = '';
  #token = '';
  #isRunning = false;
  #rounds = 0;
  /** What it does now, or why it does nothing. */
  activity = 'connecting';

  constructor(onChange: () => void) {
    this.#onChange = onChange;
    this.#client = new Client(location.origin, {
      token: async () => this.#welcome(await this.#guest.fetch()),
    });
    this.#client.on('error', () => undefined);
    this.#client.on('state', (state) => {
      if (state === 'connected') this.#isConnected = true;
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

  /** Resolves when the others can be seen. */
  async open(): Promise<void> {
    const patience = setTimeout(() => {
      this.#isConnected ??= false;
      this.#do('the gateway does not answer; trying on');
    }, CONNECT_PATIENCE_MS);
    try {
      // Asked first, so that a refusal is told: the client would try again and again.
      const { room } = await this.#guest.fetch();
      await this.#client.connect();
      const neighbours = new Neighbours(
        this.#client,
        room,
        () => this.#about(),
        () => {
          for (const { id, about } of neighbours.list) this.#remember(id, about);
          this.#onChange();
        },
      );
      const isThere = (id: string): Promise<boolean> => neighbours.isThere(id);
      this.#neighbours = neighbours;
      this.#peerWays = new PeerWays(this.#client, this.#lock, isThere);
      await neighbours.join();
    } catch (error) {
      this.#isConnected = false;
      this.#do(`no connection: ${reasonText(error)}`);
      throw error;
    } finally {
      clearTimeout(patience);
    }
  }

  /** Leaves, so that others see at once that it is gone. */
  close(): void {
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
      if (!onlyNew) await this.#testServer();
      await this.#testPeers(onlyNew);
      if (!onlyNew) this.#rounds++;
      await this.#report();
    } finally {
      this.#isRunning = false;
      this.#do('waiting for the next round');
    }
  }

  async summary(): Promise<TestSummary | null> {
    const response = await fetch('/test/results').catch(() => null);
    // Of the server that served this very page.
    return response?.ok === true ? ((await response.json()) as TestSummary) : null;
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
      about: this.#about(),
      missing: this.#missing,
      sections: [server, ...peers],
      past: this.#peers.past,
      lines: this.#lines(),
    };
  }

  snapshot(): Snapshot {
    const { evidence, about, missing, sections } = this.shown();
    const { browser, platform, network } = about;
    return {
      at: Date.now(),
      about: { browser, platform, network },
      missing: [...missing],
      evidence,
      sections: sections.map(({ peer, rows }) => ({
        peer:
          peer === null
            ? null
            : {
                browser: peer.browser,
                platform: peer.platform,
                network: peer.network,
                sameNetwork: peer.sameNetwork,
              },
        rows,
      })),
    };
  }

  get evidence(): Evidence {
    const { iceServers } = this.#client;
    return {
      hasWebRTC: !this.#missing.includes('webrtc'),
      isSecure: !this.#missing.includes('secure'),
      isConnected: this.#isConnected,
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

  #skip(row: Row, note: string): void {
    row.status = 'off';
    row.note = note;
    this.#onChange();
  }

  async #alone(activity: string, row: Row, test: () => Promise<Parameters<Row['take']>[0]>): Promise<void> {
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
    return this.evidence.hasWebRTC && this.#neighbours?.get(id)?.about?.hasWebRTC === true;
  }

  async #testPeers(onlyNew: boolean): Promise<void> {
    if (!onlyNew) await this.#neighbours?.askAgain();
    const neighbours = this.#neighbours?.list ?? [];
    const chosen = neighbours
      .filter(({ id }) => this.#canTest(id) && (!onlyNew || this.#isNewcomer(id)))
      .map(({ id }) => ({ id, order: Math.random() }))
      .sort((a, b) => a.order - b.order)
      .slice(0, PEERS_PER_ROUND);
    for (const { id } of chosen) await this.#testPeer(id);
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
        if (withVideo) this.#takeMedia(rows.media, channel.status, media, tags);
        if (channel.status === 'ok' || channel.status === 'failed') {
          this.#patience.forget(id);
          return channel.status === 'ok';
        }
      } finally {
        release();
        this.#onChange();
      }
      if (attempt < BUSY_TRIES - 1) await pause(BUSY_PAUSE_MS * 2 ** attempt * (0.5 + Math.random() / 2));
    }
    this.#patience.wasBusy(id);
    return null;
  }

  #takeMedia(
    row: Row,
    channel: string,
    media: Parameters<Row['take']>[0] | null,
    tags: readonly [string, string],
  ): void {
    if (media !== null) row.take(media, tags);
    else if (channel === 'ok') this.#skip(row, 'this browser makes no test picture');
    else if (channel === 'failed') {
      row.status = 'waiting';
      row.note = 'no way yet';
    } else row.take({ status: channel === 'gone' ? 'gone' : 'busy' }, tags);
  }

  #lines(): Shown['lines'] {
    const names = { websocket: 'WebSocket', sse: 'Event stream', turn: 'Relay and back' };
    const server = Object.values(this.#server).map((row) => ({
      name: names[row.way as keyof typeof names],
      points: row.history,
    }));
    const peers = this.#peers.list.flatMap(
      ([
        id,
        {
          rows: { direct, relay },
        },
      ]) => [
        { name: `${shortName(id)} direct`, points: direct.history },
        { name: `${shortName(id)} relayed`, points: relay.history },
      ],
    );
    return [...server, ...peers];
  }

  async #report(): Promise<void> {
    const { browser, platform, network } = this.#about();
    const peers = this.#peers.list.map(([, { rows }]) => rows);
    const rows = [...Object.values(this.#server), ...peers.flatMap((peer) => peer.rows)];
    const report: TestReport = {
      ...{ browser, platform, network },
      measures: rows.flatMap((row) => row.takeUnreported()).slice(0, MEASURES_LIMIT),
      pairs: peers.flatMap((peer) => peer.takeUnreported()).slice(0, PAIRS_LIMIT),
    };
    if (report.measures.length === 0 && report.pairs.length === 0) return;
    // A report that does not arrive is missing from the sums, and nowhere else.
    await fetch('/test/results', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${this.#token}` },
      body: JSON.stringify(report),
    }).catch(() => undefined);
  }
}

const UNKNOWN = { browser: 'other', platform: 'other', network: 'unknown' } as const;

function reachOf({ status }: Row): Reach {
  return status === 'ok' || status === 'failed' ? status : 'unknown';
}
