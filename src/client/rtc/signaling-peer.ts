// One end of a WebRTC connection that negotiates by itself: channels, streams and restarts of both sides overlap in any order.
import { GatewayError } from '../../protocol/errors.js';
import { type Environment, REAL_ENVIRONMENT } from '../environment.js';
import { Listeners } from '../listeners.js';
import { Candidates } from './candidates.js';
import { PeerCondition } from './condition.js';
import { Dialogue } from './dialogue.js';
import { isSent, type WaitOptions, Waits } from './flow.js';
import { restartOver } from './firefox-restart.js';
import { Negotiation, type NegotiationCounts, type NegotiationMachine } from './negotiation.js';
import { NegotiationDriver } from './negotiation-driver.js';
import { type Outgoing, OutgoingStreams } from './outgoing.js';
import { type PeerState, Recovery } from './recovery.js';
import { iceError, keepError, type PeerError, peerError } from './peer-errors.js';
import {
  NAME_LIMIT_CHARACTERS,
  type NegotiationSignal,
  SDP_LIMIT_CHARACTERS,
  type SignalBody,
} from './signal.js';
import type { LineReceiver, SignalingMechanism } from './signaling.js';
import { fullConfiguration } from './spare-connection.js';
import { SILENT_CHANNEL, type TakenEnd } from './standing.js';
import { watchSurroundings } from './surroundings.js';

/** How often it is looked whether media flows, ms. */
const FLOW_LOOK_MS = 50;
const GIVE_UP_DEFAULT_MS = 60_000;

/** What a peer tells, by `peer.on(event, listener)`. */
export type PeerEvents = {
  state: [state: PeerState];
  /** The other side made a channel. */
  datachannel: [channel: RTCDataChannel];
  /** The other side added a stream; its `addtrack` and `removetrack` events tell of later changes. */
  stream: [stream: MediaStream];
  track: [event: RTCTrackEvent];
  /** `peer.peer` is another one from now on, before anything was connected: see there. */
  connection: [connection: RTCPeerConnection];
  error: [error: PeerError];
  /** Once, when the peer is over: `closed` by this side, `remote` by the other, else the code of what ended it. */
  close: [reason: 'closed' | 'remote' | GatewayError];
};

/** Options of a peer. */
export interface PeerOptions {
  signaling: SignalingMechanism;
  /** Tells several peers between the same two apart; both sides name theirs alike. At most 160 characters. Default none. */
  name?: string;
  /** Asked for servers with credentials that are good now, before each ICE restart. */
  iceServers?: () => RTCIceServer[];
  /** A peer that was connected, or on the way to it, and is not for so long, ms, is closed. Default 60 000. */
  giveUpMs?: number;
  /** The class to use where the platform has none. */
  RTCPeerConnection?: typeof RTCPeerConnection;
  /** One that was made with that configuration already. @internal */
  connection?: RTCPeerConnection | null;
  /** Its first offer may be answered by one that crosses it: see docs/webrtc.md, calls in one trip. @internal */
  crossing?: (own: NegotiationMachine) => NegotiationMachine;
  /** The other side's first words are known to be lost: this end asks for them even where it has an offer. @internal */
  greets?: boolean;
  /** @internal */
  environment?: Environment;
  /** Another way to decide who offers, for comparisons. @internal */
  negotiation?: (isLeader: () => boolean) => NegotiationMachine;
}

/** A WebRTC connection with one other client, that negotiates, restarts and recovers by itself; docs/webrtc.md shows how it is used. */
export class RTCSignalingPeer {
  readonly localId: string;
  readonly remoteId: string;
  readonly name: string;
  /** Resolves with this peer when signals can go and come. Nothing need wait for it: operations do. */
  readonly ready: Promise<this>;
  /** The newest 64. */
  readonly errors: PeerError[] = [];
  readonly #environment: Environment;
  #connection: RTCPeerConnection;
  #dialogue: Dialogue;
  #negotiation: NegotiationDriver;
  #candidates: Candidates;
  readonly #recovery: Recovery;
  readonly #waits: Waits;
  readonly #listeners: Listeners<PeerEvents>;
  readonly #outgoing: OutgoingStreams;
  readonly #iceServers: (() => RTCIceServer[]) | undefined;
  readonly #isLeader: () => boolean;
  /** Channels that wait to be open; null: not made yet. */
  readonly #opening = new Set<{ channel: RTCDataChannel | null }>();
  readonly #streams = new WeakSet<MediaStream>();
  /** The first offer has a data section. */
  #hasChannel = false;
  #stopped = new AbortController();
  /** What was said so far was told to be proved. */
  #isProved = false;
  #sent = 0;
  #isClosed = false;

  /**
   * @param configuration of the `RTCPeerConnection`; all media share one transport unless its `bundlePolicy` says otherwise
   * @throws TypeError where the platform has no WebRTC, or the name is too long
   */
  constructor(localId: string, remoteId: string, configuration: RTCConfiguration, options: PeerOptions) {
    const { name = '', environment = REAL_ENVIRONMENT, giveUpMs = GIVE_UP_DEFAULT_MS } = options;
    const Connection = options.RTCPeerConnection ?? globalThis.RTCPeerConnection;
    if (typeof Connection !== 'function')
      throw new TypeError('There is no RTCPeerConnection: give one as an option.');
    if (name.length > NAME_LIMIT_CHARACTERS)
      throw new TypeError(`The name of a peer has at most ${String(NAME_LIMIT_CHARACTERS)} characters.`);
    this.localId = localId;
    this.remoteId = remoteId;
    this.name = name;
    this.#environment = environment;
    this.#iceServers = options.iceServers;
    this.#waits = new Waits(environment);
    this.#listeners = new Listeners((error) => console.error('signalbox:', error));
    this.#isLeader = this.#leadership(baseOf(localId), baseOf(remoteId));
    const { negotiation, crossing } = options;
    const own = (negotiation ?? ((leads) => new Negotiation(leads)))(this.#isLeader);
    this.#connection = options.connection ?? new Connection(fullConfiguration(configuration));
    // One that was offered before anybody called has it in its offer.
    this.#hasChannel = Boolean(this.peer.localDescription);
    this.#negotiation = this.#drive(crossing?.(own) ?? own);
    this.#candidates = this.#gather();
    this.#recovery = this.#recover(giveUpMs);
    this.#outgoing = new OutgoingStreams(this.peer, negotiation === undefined && !this.#isLeader());
    this.#listen();
    this.#dialogue = this.#talk(options.signaling);
    this.ready = this.#dialogue.ready.then(() => this);
    // Who waits for it is told; nobody has to.
    this.ready.catch(() => {});
    environment.after(0, () => {
      // What offers at once is heard of by its offer.
      if (options.greets !== true && (this.#hasChannel || this.#outgoing.areAny)) return;
      this.#dialogue.ready.then(
        () => this.#dialogue.greet(),
        () => {},
      );
    });
  }

  /**
   * The connection itself; its events are the application's to listen to, its handler properties stay free. Where both sides have standing
   * offers and call each other at the same moment, one of them has another one from then on, before anything is connected; the event
   * `connection` tells.
   */
  get peer(): RTCPeerConnection {
    return this.#connection;
  }

  /** Where the connection stands; the event `state` tells each move. */
  get state(): PeerState {
    return this.#recovery.state;
  }

  /** How the negotiations went so far; `sent` counts descriptions, candidates in batches, and what is said about turns. */
  get counts(): Readonly<NegotiationCounts & { sent: number }> {
    return { ...this.#negotiation.counts, sent: this.#sent };
  }

  /** Calls `listener` for each such event. Returns a function that removes it. */
  on<E extends keyof PeerEvents>(event: E, listener: (...args: PeerEvents[E]) => unknown): () => void {
    return this.#listeners.add(event, listener);
  }

  /** Connects, though there is nothing to send yet. Resolves when connected; rejects as `createDataChannel`. */
  async connect(options: WaitOptions = {}): Promise<this> {
    this.#assertOpen();
    this.#beginWithData();
    await this.#until(() => this.state === 'connected', options);
    return this;
  }

  /** Resolves with the channel when it is open. Rejects with `timeout`, `aborted`, `closed`, or the code that ended the peer. */
  async createDataChannel(
    label: string,
    channelOptions: RTCDataChannelInit = {},
    options: WaitOptions = {},
  ): Promise<RTCDataChannel> {
    this.#assertOpen();
    const make = (): RTCDataChannel => {
      const channel = this.peer.createDataChannel(label, channelOptions);
      this.#hasChannel = true;
      const { signal } = this.#stopped;
      for (const event of ['open', 'close', 'error'])
        channel.addEventListener(event, () => this.#waits.look(), { signal });
      return channel;
    };
    const opening: { channel: RTCDataChannel | null } = { channel: null };
    this.#opening.add(opening);
    try {
      await this.#until(() => {
        if (this.#negotiation.holdsChannels) return false;
        const { readyState } = (opening.channel ??= make());
        if (readyState === 'closing' || readyState === 'closed') throw new GatewayError('closed');
        return readyState === 'open';
      }, options);
    } catch (error) {
      opening.channel?.close();
      throw error;
    } finally {
      this.#opening.delete(opening);
    }
    return (opening.channel ??= make());
  }

  /**
   * Sends the tracks of a stream; called again for the same stream, those that it has more by now. Resolves with the stream
   * when the other side takes them and packets leave. Rejects as `createDataChannel`; `bad_parameter` where there is no track,
   * `aborted` where `removeStream` came in between.
   */
  async addStream(stream: MediaStream, options: WaitOptions = {}): Promise<MediaStream> {
    this.#assertOpen();
    assertTracks(stream);
    const outgoing = this.#outgoing.add(stream);
    if (this.#outgoing.areWaiting) this.#beginWithData();
    await this.#until(() => {
      if (this.#outgoing.get(stream) !== outgoing)
        throw new GatewayError('aborted', 'The stream was removed.');
      return (
        !this.#outgoing.areWaiting &&
        [...outgoing.senders.values()].every((sender) => this.#direction(sender).includes('send'))
      );
    }, options);
    await this.#flows(outgoing, options);
    return stream;
  }

  /** Stops sending the tracks of a stream. Resolves when the other side knows; at once where it was not added. */
  async removeStream(stream: MediaStream, options: WaitOptions = {}): Promise<void> {
    this.#assertOpen();
    const senders = this.#outgoing.remove(stream);
    this.#waits.look();
    await this.#until(() => senders.every((sender) => !this.#direction(sender).includes('send')), options);
  }

  /**
   * Sends `next` where `previous` was sent, without a negotiation: camera to screen and back; null sends nothing, until the track that
   * was added first is replaced again. Rejects with `bad_parameter` where `previous` is not sent.
   */
  async replaceTrack(previous: MediaStreamTrack, next: MediaStreamTrack | null): Promise<void> {
    this.#assertOpen();
    if (!(await this.#outgoing.replace(previous, next)))
      throw new GatewayError('bad_parameter', 'That track is not sent.');
  }

  /** Resolves when all that either side asked for is agreed on, as far as this side knows. */
  async agreed(options: WaitOptions = {}): Promise<void> {
    this.#assertOpen();
    await this.#until(() => this.#negotiation.isSettled && !this.#negotiation.wantsRestart, options);
  }

  /** Looks for a new way through the network; by itself it does so when the connection fails or the network changes. Nothing before both sides first agreed. */
  restartIce(): void {
    if (this.#isClosed || this.counts.rounds === 0) return;
    this.#negotiation.restartIce();
  }

  #renewServers(): void {
    if (this.#iceServers === undefined) return;
    try {
      this.peer.setConfiguration({ ...this.peer.getConfiguration(), iceServers: this.#iceServers() });
    } catch (error) {
      // Older Firefox cannot; the restart has the old ones then.
      this.#collect(peerError('negotiation', error));
    }
  }

  /** The network is another one: ICE is restarted. @internal */
  networkChanged(isOtherNetwork: boolean): void {
    this.#recovery.networkChanged(isOtherNetwork);
  }

  /** The application calls once more, by this peer. @internal */
  callAgain(): void {
    this.#dialogue.callAgain();
  }

  /** What signals come to. @internal */
  get receiver(): LineReceiver {
    return this.#dialogue;
  }

  /** Goes on as that end, before the other side said a word to this one: what the application wants of this peer it has there. @internal */
  moveTo({ connection, signaling, crossing }: TakenEnd): void {
    const old = this.peer;
    this.#stopped.abort();
    this.#stopped = new AbortController();
    this.#candidates.close();
    this.#negotiation.close();
    this.#dialogue.close();
    this.#connection = connection;
    this.#hasChannel = true;
    this.#negotiation = this.#drive(crossing(new Negotiation(this.#isLeader)));
    this.#candidates = this.#gather();
    this.#outgoing.move(connection);
    this.#listen();
    this.#dialogue = this.#talk(signaling);
    for (const opening of this.#opening) opening.channel = null;
    old.close();
    this.#listeners.emit('connection', connection);
  }

  /** Ends the connection, here and there; what waits rejects with `closed`. Idempotent. */
  close(): void {
    this.#end('closed');
  }

  #recover(giveUpMs: number): Recovery {
    return new Recovery(
      new PeerCondition(this),
      {
        isLeader: this.#isLeader,
        restartIce: () => this.restartIce(),
        onState: (state) => {
          this.#prove();
          this.#listeners.emit('state', state);
        },
        onGiveUp: () =>
          this.#end(new GatewayError('timeout', 'The connection was lost and could not be restored.')),
      },
      this.#environment,
      giveUpMs,
    );
  }

  #gather(): Candidates {
    return new Candidates(this.peer, this.#environment, {
      send: (candidate) => this.#send({ type: 'candidate', candidate }),
      onError: (error) => this.#collect(peerError('negotiation', error)),
    });
  }

  #talk(signaling: SignalingMechanism): Dialogue {
    const { localId, remoteId, name } = this;
    return new Dialogue(
      signaling,
      { localId, remoteId, name },
      {
        onSignal: (signal) => this.#receive(signal),
        onBye: () => this.#end('remote'),
        onFailed: (cause) => this.#collect(peerError('signaling', cause)),
        onOverflow: () => this.#end(new GatewayError('queue_full')),
        onEnded: () => this.#end(new GatewayError('closed')),
      },
      this.#environment,
    );
  }

  #listen(): void {
    const { signal } = this.#stopped;
    const listen = <E extends keyof RTCPeerConnectionEventMap>(
      event: E,
      run: (event: RTCPeerConnectionEventMap[E]) => void,
    ): void => this.peer.addEventListener(event, run, { signal });
    const look = (): void => {
      this.#candidates.look();
      this.#recovery.look();
      this.#waits.look();
    };
    listen('negotiationneeded', () => this.#negotiation.handle({ type: 'needed' }));
    listen('icecandidate', ({ candidate }) => this.#candidates.gathered(candidate));
    listen('icecandidateerror', (event) => this.#collect(iceError(event)));
    listen('connectionstatechange', look);
    listen('iceconnectionstatechange', look);
    listen('signalingstatechange', () => this.#waits.look());
    listen('datachannel', ({ channel }) => this.#listeners.emit('datachannel', channel));
    listen('track', (event) => {
      this.#listeners.emit('track', event);
      for (const stream of event.streams) {
        if (this.#streams.has(stream)) continue;
        this.#streams.add(stream);
        this.#listeners.emit('stream', stream);
      }
    });
    watchSurroundings(signal, {
      networkChanged: (isOther) => this.#recovery.networkChanged(isOther),
      // A page that goes away says so; else the other side would find out by silence.
      goneAway: () => this.close(),
    });
  }

  /** By the ids, which both sides know before a word is said; a client that talks to itself, by the identities of both ends. */
  #leadership(local: string, remote: string): () => boolean {
    if (local !== remote) return () => local > remote;
    // Asked in the constructor already, where there is no dialogue yet.
    const dialogue = (): Dialogue | undefined => this.#dialogue;
    return () => (dialogue()?.id ?? '') > (dialogue()?.remote ?? '\uffff');
  }

  #receive(signal: SignalBody): void {
    switch (signal.type) {
      case 'hello':
      case 'ack':
      case 'sync':
      case 'bye':
      case 'gone':
        // The dialogue's own.
        return;
      default:
        if ('sdp' in signal) this.#candidates.heard(signal);
        this.#negotiation.handle({ type: 'received', signal });
    }
  }

  #drive(machine: NegotiationMachine): NegotiationDriver {
    return new NegotiationDriver(this.peer, machine, {
      send: (signal) => this.#send(signal),
      onCandidates: (candidates) => {
        for (const candidate of candidates) void this.#candidates.add(candidate);
      },
      onOffer: () => this.#beginWithData(),
      restartOver: (isOwn) =>
        restartOver(this.peer, this.#environment, isOwn && this.#candidates.isOtherFirefox),
      onRestart: () => {
        // Also of the other side: who answers gathers as well.
        this.#renewServers();
        this.#candidates.restarts();
      },
      // What the follower offers first is a proposal. (So it is of a Firefox that asks for a standing offer, which then waits for them a moment longer.)
      firstAnswer: () => (this.#isLeader() ? this.#candidates.first() : Promise.resolve()),
      onHeard: () => this.#outgoing.release(),
      onError: (error) => this.#collect(peerError('negotiation', error)),
      onFailed: () => this.#end(new GatewayError('rejected', 'The two sides could not agree on a session.')),
      onChange: () => {
        this.#candidates.look();
        this.#recovery.look();
        this.#prove();
        this.#waits.look();
      },
    });
  }

  /** A connection may be there before its answer is applied: so this is looked at at each step, and done once. */
  #prove(): void {
    if (this.#isProved || this.state !== 'connected') return;
    if (this.counts.rounds !== 1 || !this.#negotiation.isSettled) return;
    this.#isProved = true;
    this.#dialogue.proved();
  }

  #send(signal: NegotiationSignal): void {
    if ('sdp' in signal && signal.sdp.length > SDP_LIMIT_CHARACTERS)
      // The other side would not read it, and neither could go on.
      return this.#end(
        new GatewayError('too_big', 'So many tracks and channels have no place in one description.'),
      );
    this.#sent++;
    this.#dialogue.send('sdp' in signal ? this.#candidates.follow(signal) : signal);
    if (signal.type === 'offer' && this.#outgoing.areWaiting) this.#negotiation.handle({ type: 'needed' });
  }

  #until(probe: () => boolean, options: WaitOptions): Promise<void> {
    return this.#waits.until(probe, options, () => this.errors.at(-1));
  }

  /** What the other side agreed to, of the transceiver of a sender. */
  #direction(sender: RTCRtpSender): string {
    const transceiver = this.peer.getTransceivers().find((one) => one.sender === sender);
    return transceiver?.currentDirection ?? '';
  }

  async #flows({ senders }: Outgoing, options: WaitOptions): Promise<void> {
    let flows = false;
    const done = this.#until(() => flows, options);
    let isOver = false;
    const stop = (): void => {
      isOver = true;
    };
    done.then(stop, stop);
    const look = async (): Promise<void> => {
      flows = await isSent([...senders.values()], this.#outgoing.sentBefore);
      this.#waits.look();
      if (!flows && !isOver) this.#environment.after(FLOW_LOOK_MS, () => void look());
    };
    await Promise.all([done, look()]);
  }

  /**
   * The first offer has a data section whether the application has channels or not, for two reasons. A first one that came later
   * along with an ICE restart would be dead in about every second call from Chromium 150 to Firefox 140: SCTP never connects. And
   * what a follower proposes may be forgotten, but Chromium keeps the header extension numbers of an offer that was made and never
   * set, against which later ones collide: so a proposal is of data only, and asks for the turn to add the media.
   */
  #beginWithData(): void {
    if (this.#hasChannel || this.counts.rounds > 0) return;
    this.#hasChannel = true;
    // Agreed on in advance by one side only, it is never seen by the other.
    this.peer.createDataChannel('', { negotiated: true, id: SILENT_CHANNEL });
  }

  #assertOpen(): void {
    if (this.#isClosed) throw new GatewayError('closed');
  }

  #collect(error: PeerError): void {
    if (this.#isClosed) return;
    keepError(this.errors, error);
    this.#listeners.emit('error', error);
  }

  #end(reason: PeerEvents['close'][0]): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#stopped.abort();
    this.#candidates.close();
    this.#negotiation.close();
    this.#dialogue.close();
    this.peer.close();
    this.#waits.failAll(typeof reason === 'string' ? new GatewayError('closed') : reason);
    this.#recovery.close();
    this.#listeners.emit('close', reason);
  }
}

/** @throws GatewayError `bad_parameter` where there is nothing to send */
export function assertTracks(stream: MediaStream): void {
  if (stream.getTracks().every(({ readyState }) => readyState === 'ended'))
    throw new GatewayError('bad_parameter', 'The stream has no track that is not over.');
}

/** The client of an address: `bob` of `bob#<session>`. */
function baseOf(id: string): string {
  return id.replace(/#.*/, '');
}
