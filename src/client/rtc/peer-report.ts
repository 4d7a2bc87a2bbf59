// Tells the gateway how a peer does: once when it is connected, and once when it is over. What cannot be told is not told later.
import type { ClientFrame } from '../../protocol/frame.js';
import {
  isCandidateType,
  isPeerProtocol,
  PEER_RTT_LIMIT_MS,
  PEER_TIME_LIMIT_MS,
  type PeerReport,
} from '../../protocol/peer-report.js';
import { type Environment, REAL_ENVIRONMENT } from '../environment.js';
import type { RTCSignalingPeer } from './signaling-peer.js';

/** Until a new connection has a round-trip time, ms. */
const FIRST_SAMPLE_MS = 1_000;
/** Between looks at a connection whose end is still to be told, ms: after the end nothing can be asked any more. */
const SAMPLE_MS = 10_000;

type Measured = Pick<PeerReport, 'local' | 'remote' | 'protocol' | 'rttMs' | 'lossPermille'>;

export interface ReportPort {
  /** False where there is no connection to the gateway now. */
  tryWrite(frame: ClientFrame): boolean;
}

export class PeerReporter {
  readonly #peer: RTCSignalingPeer;
  readonly #environment: Environment;
  readonly #port: ReportPort;
  readonly #madeAt: number;
  #agreedAt: number | null = null;
  #pairedAt: number | null = null;
  #connectedAt: number | null = null;
  #hasFailed = false;
  #isTold = false;
  #measured: Measured = {};
  #cancelSample: () => void = () => {};
  /** Of the connections that it listens to. */
  readonly #over = new AbortController();

  constructor(peer: RTCSignalingPeer, port: ReportPort, environment: Environment = REAL_ENVIRONMENT) {
    this.#peer = peer;
    this.#port = port;
    this.#environment = environment;
    this.#madeAt = environment.now();
    this.#watch(peer.peer);
    peer.on('connection', (connection) => this.#watch(connection));
    peer.on('state', (state) => {
      this.#hasFailed ||= state === 'failed';
      if (state !== 'connected' || this.#connectedAt !== null) return;
      this.#connectedAt = environment.now();
      this.#sampleIn(FIRST_SAMPLE_MS);
    });
    peer.on('close', (reason) => this.#ended(typeof reason === 'string' ? reason : reason.code));
  }

  #watch(connection: RTCPeerConnection): void {
    const now = (): number => this.#environment.now();
    const listen = (event: string, run: () => void): void =>
      connection.addEventListener(event, run, { signal: this.#over.signal });
    listen('signalingstatechange', () => {
      if (connection.signalingState === 'stable') this.#agreedAt ??= now();
    });
    listen('iceconnectionstatechange', () => {
      if (/^(connected|completed)$/.test(connection.iceConnectionState)) this.#pairedAt ??= now();
    });
  }

  #sampleIn(ms: number): void {
    this.#cancelSample = this.#environment.after(ms, () => {
      void measure(this.#peer.peer).then((measured) => {
        if (this.#peer.state === 'closed') return;
        this.#measured = measured;
        this.#connected();
        this.#sampleIn(SAMPLE_MS);
      });
    });
  }

  #connected(): void {
    if (this.#isTold || this.#connectedAt === null) return;
    this.#isTold = true;
    const agreedAt = this.#agreedAt ?? this.#connectedAt;
    const pairedAt = Math.max(this.#pairedAt ?? this.#connectedAt, agreedAt);
    const { local, remote, protocol, rttMs } = this.#measured;
    this.#tell({
      moment: 'connected',
      signalingMs: between(this.#madeAt, agreedAt),
      iceMs: between(agreedAt, pairedAt),
      dtlsMs: between(pairedAt, this.#connectedAt),
      totalMs: between(this.#madeAt, this.#connectedAt),
      local,
      remote,
      protocol,
      rttMs,
    });
  }

  #ended(reason: PeerReport['reason']): void {
    this.#over.abort();
    this.#cancelSample();
    this.#connected();
    const { rttMs, lossPermille } = this.#measured;
    const wasConnected = this.#connectedAt !== null;
    // Whoever hangs up then does so because of that.
    const isGivenUp = this.#hasFailed && !wasConnected && (reason === 'closed' || reason === 'remote');
    this.#tell({
      moment: 'ended',
      reason: isGivenUp ? 'timeout' : reason,
      wasConnected,
      rttMs,
      lossPermille,
    });
  }

  #tell(report: PeerReport): void {
    // What is not known does not travel.
    const known = Object.entries(report).filter(([, value]) => value !== undefined);
    this.#port.tryWrite({ type: 'peerReport', digest: Object.fromEntries(known) as unknown as PeerReport });
  }
}

/** Whole milliseconds, within what a report takes; clocks may be set back. */
function between(from: number, to: number): number {
  return Math.min(Math.max(0, Math.round(to - from)), PEER_TIME_LIMIT_MS);
}

/** Of the candidate pair in use, and of all media received so far. */
async function measure(connection: RTCPeerConnection): Promise<Measured> {
  const reports = new Map<unknown, object>();
  try {
    for (const [id, report] of await connection.getStats()) {
      const stats: unknown = report;
      if (typeof stats === 'object' && stats !== null) reports.set(id, stats);
    }
  } catch {
    // Some older browsers have no statistics of a connection that is being closed.
    return {};
  }
  const all = [...reports.values()];
  const of = (type: string): object[] => all.filter((report) => get(report, 'type') === type);
  const selected = of('transport').map((transport) => get(transport, 'selectedCandidatePairId'));
  const pairs = of('candidate-pair');
  // Firefox has no `transport`, but says which pair is selected.
  const pair = pairs.find((one) => selected.includes(get(one, 'id')) || get(one, 'selected') === true);
  const local = reports.get(get(pair, 'localCandidateId'));
  const remote = reports.get(get(pair, 'remoteCandidateId'));
  const [localType, remoteType] = [get(local, 'candidateType'), get(remote, 'candidateType')];
  const protocol = get(local, 'relayProtocol') ?? get(local, 'protocol');
  const rtt = get(pair, 'currentRoundTripTime');
  const sum = (name: string): number =>
    of('inbound-rtp').reduce((total, report) => total + (Number(get(report, name)) || 0), 0);
  const [lost, received] = [Math.max(0, sum('packetsLost')), sum('packetsReceived')];
  return {
    local: isCandidateType(localType) ? localType : undefined,
    remote: isCandidateType(remoteType) ? remoteType : undefined,
    protocol: isPeerProtocol(protocol) ? protocol : undefined,
    rttMs: typeof rtt === 'number' ? Math.min(Math.round(rtt * 1000), PEER_RTT_LIMIT_MS) : undefined,
    lossPermille: received + lost > 0 ? Math.round((lost * 1000) / (received + lost)) : undefined,
  };
}

function get(object: object | undefined, name: string): unknown {
  return object === undefined ? undefined : Reflect.get(object, name);
}
