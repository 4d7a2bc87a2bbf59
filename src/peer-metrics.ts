// What clients tell of their WebRTC connections, in Prometheus' terms: every label has a few values that are known beforehand.
import { Counter, Histogram, type Registry } from 'prom-client';
import type { PeerReport } from './protocol/peer-report.js';

export class PeerMetrics {
  private readonly setUp: Histogram<'phase'>;
  private readonly connected: Counter<'local' | 'remote' | 'protocol'>;
  private readonly ended: Counter<'reason' | 'connected'>;
  private readonly rtt: Histogram;
  private readonly loss: Histogram;

  constructor(registry: Registry) {
    const registers = [registry];
    this.setUp = new Histogram({
      name: 'signalbox_peer_setup_seconds',
      help: 'Set-up of WebRTC connections, as clients tell: until both sides agreed (signaling), until ICE had a pair (ice), until DTLS was done (dtls), and all of it (total).',
      labelNames: ['phase'],
      buckets: [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30],
      registers,
    });
    this.connected = new Counter({
      name: 'signalbox_peers_connected_total',
      help: 'Ends of WebRTC connections that connected, by the types of the candidates in use.',
      labelNames: ['local', 'remote', 'protocol'],
      registers,
    });
    this.ended = new Counter({
      name: 'signalbox_peers_ended_total',
      help: 'Ends of WebRTC connections that are over, by reason and by whether they ever were connected.',
      labelNames: ['reason', 'connected'],
      registers,
    });
    this.rtt = new Histogram({
      name: 'signalbox_peer_rtt_seconds',
      help: 'Round trip between the two ends of a WebRTC connection, when it was connected and when it ended.',
      buckets: [0.005, 0.02, 0.05, 0.1, 0.2, 0.4, 1, 2],
      registers,
    });
    this.loss = new Histogram({
      name: 'signalbox_peer_loss_ratio',
      help: 'Share of the media packets that a WebRTC connection lost on the way to a client, when it ended.',
      buckets: [0, 0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.3],
      registers,
    });
  }

  count(report: PeerReport): void {
    const { moment, signalingMs, iceMs, dtlsMs, totalMs, rttMs, lossPermille } = report;
    if (moment === 'connected') {
      const { local = 'unknown', remote = 'unknown', protocol = 'unknown' } = report;
      this.connected.inc({ local, remote, protocol });
      const phases = { signaling: signalingMs, ice: iceMs, dtls: dtlsMs, total: totalMs };
      for (const [phase, ms] of Object.entries(phases))
        if (ms !== undefined) this.setUp.observe({ phase }, ms / 1000);
    } else {
      const { reason = 'closed', wasConnected = false } = report;
      this.ended.inc({ reason, connected: wasConnected ? 'yes' : 'no' });
      if (lossPermille !== undefined) this.loss.observe(lossPermille / 1000);
    }
    if (rttMs !== undefined) this.rtt.observe(rttMs / 1000);
  }
}
