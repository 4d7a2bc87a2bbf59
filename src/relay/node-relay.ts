// The relay of one worker: Unix sockets to its siblings, a bridge (Redis) to other nodes when there is one.
import type { Server } from 'node:net';
import { join } from 'node:path';
import type { WorkerId } from '../protocol/ids.js';
import { decodeEnvelope, type Envelope, EnvelopeEncoder } from './envelope.js';
import { Names } from './names.js';
import { handleOf } from './stream-envelope.js';
import { connectLink, type Link, type LinkHandlers, listenLinks } from './link.js';
import {
  type EnvelopeListener,
  type NodeBridge,
  nodeOf,
  type Relay,
  type RelayOutcome,
  type RelayPath,
} from './relay.js';

export interface NodeRelayOptions {
  worker: WorkerId;
  /** Directory of the node's sockets, readable by its owner only. */
  directory: string;
  listener: EnvelopeListener;
  /** Counts what was sent, by path, and what could not be. */
  count: (path: RelayPath, outcome: RelayOutcome, envelopes?: number) => void;
}

export function socketPath(directory: string, worker: WorkerId): string {
  return join(directory, `${String(numberOf(worker))}.sock`);
}

/** The primary counts its workers: whoever begins later has the greater one, and none is given twice. */
function numberOf(worker: WorkerId): number {
  return Number(worker.slice(worker.lastIndexOf('.') + 1));
}

const NOTHING = new Uint8Array(0);

export class NodeRelay implements Relay {
  private readonly encoder = new EnvelopeEncoder();
  private readonly names = new Names();
  private readonly links = new Map<WorkerId, Link>();
  private readonly node: string;
  private siblings: readonly WorkerId[] = [];
  /** Number of the youngest worker of this node of whom the primary has told. */
  private youngest: number;
  private bridge: NodeBridge | null = null;
  private server: Server | null = null;
  private readonly incoming = new Set<Link>();

  constructor(private readonly options: NodeRelayOptions) {
    this.node = nodeOf(options.worker);
    this.youngest = numberOf(options.worker);
  }

  /** Starts to listen for the siblings. */
  async open(): Promise<void> {
    this.server = await listenLinks(socketPath(this.options.directory, this.options.worker), (link) => {
      const handlers: LinkHandlers = {
        message: (bytes) => {
          this.receive(bytes, 'unix');
        },
        close: () => {
          this.incoming.delete(link());
        },
      };
      setImmediate(() => this.incoming.add(link()));
      return handlers;
    });
  }

  useBridge(bridge: NodeBridge): void {
    this.bridge = bridge;
  }

  /** Who else runs on this node; links to the dead are dropped. */
  setSiblings(workers: readonly WorkerId[]): void {
    this.siblings = workers.filter((worker) => worker !== this.options.worker);
    this.youngest = Math.max(this.youngest, ...this.siblings.map(numberOf));
    for (const [worker, link] of this.links) {
      if (this.siblings.includes(worker)) continue;
      this.links.delete(worker);
      link.close();
    }
  }

  get width(): number {
    return 1 + this.siblings.length;
  }

  send(to: WorkerId, envelope: Envelope): boolean {
    if (to === this.options.worker) {
      this.options.count('local', 'sent');
      this.options.listener(envelope, 'local');
      return true;
    }
    if (nodeOf(to) !== this.node) return this.sendAway(to, this.encoder.encode(envelope));
    if (envelope.kind === 'deliver')
      return this.sendToSibling(to, this.encoder.deliverHead(envelope), envelope.body);
    // The bytes of a chunk go from socket to socket as they are.
    if (envelope.kind === 'stream' && envelope.step.kind === 'chunk')
      return this.sendToSibling(to, this.encoder.streamHead(envelope), envelope.step.payload.data);
    return this.sendToSibling(to, this.encoder.encode(envelope));
  }

  sendToAll(envelope: Envelope): boolean {
    const bytes = this.encoder.encode(envelope);
    let all = true;
    for (const worker of this.siblings) all = this.sendToSibling(worker, bytes) && all;
    if (this.bridge !== null) {
      const sent = this.bridge.sendToOtherNodes(bytes);
      this.options.count('redis', sent ? 'sent' : 'failed');
      all = sent && all;
    }
    return all;
  }

  /** Bytes of an envelope from another node or process; garbage is counted and dropped. */
  receive(bytes: Buffer, path: RelayPath): void {
    const envelope = decodeEnvelope(bytes, this.names);
    if (envelope === null) this.options.count(path, 'bad');
    else this.options.listener(envelope, path);
  }

  /** An envelope that nobody took, after `send` had said yes: told as its destination would, had it not the session. */
  unreachable(envelope: Envelope): void {
    switch (envelope.kind) {
      case 'errand': {
        const { handle } = envelope;
        const nobody = { kind: 'errandDone', handle, outcome: 'none', close: 0, body: NOTHING } as const;
        this.options.listener(nobody, 'redis');
        return;
      }
      case 'serve': {
        const { handle, session } = envelope;
        const nowhere = { outcome: 'missing', load: 0, code: '', text: '', body: NOTHING } as const;
        this.options.listener({ kind: 'served', handle, session, ...nowhere }, 'redis');
        return;
      }
      case 'stream': {
        const { to } = envelope;
        if (to !== null)
          this.options.listener({ kind: 'missing', client: to.client, handle: handleOf(envelope) }, 'redis');
        return;
      }
      case 'deliver':
      case 'request': {
        const handle = envelope.kind === 'request' ? envelope.handle : '';
        this.options.listener({ kind: 'missing', client: envelope.client, handle }, 'redis');
        return;
      }
      default:
    }
  }

  async close(): Promise<void> {
    for (const link of this.links.values()) link.close();
    for (const link of this.incoming) link.close();
    this.links.clear();
    this.server?.close();
    await this.bridge?.close();
  }

  private sendToSibling(to: WorkerId, ...parts: Uint8Array[]): boolean {
    const sent = this.isThere(to) && this.linkTo(to).send(...parts);
    this.options.count('unix', sent ? 'sent' : 'failed');
    return sent;
  }

  /** A worker that has just begun has clients, and its siblings hear of them, before the primary has told everybody of it. */
  private isThere(worker: WorkerId): boolean {
    return this.siblings.includes(worker) || numberOf(worker) > this.youngest;
  }

  private sendAway(to: WorkerId, bytes: Buffer): boolean {
    const sent = this.bridge?.send(to, bytes) ?? false;
    this.options.count('redis', sent ? 'sent' : 'failed');
    return sent;
  }

  private linkTo(worker: WorkerId): Link {
    const existing = this.links.get(worker);
    if (existing !== undefined) return existing;
    const link: Link = connectLink(socketPath(this.options.directory, worker), {
      message: (bytes) => {
        this.receive(bytes, 'unix');
      },
      close: (lost) => {
        // They count as sent already, and now also as failed.
        if (lost > 0) this.options.count('unix', 'failed', lost);
        if (this.links.get(worker) === link) this.links.delete(worker);
      },
    });
    this.links.set(worker, link);
    return link;
  }
}
