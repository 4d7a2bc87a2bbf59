// The relay: carries envelopes to this worker, to another worker of the node, or to another node.
import type { WorkerId } from '../protocol/ids.js';
import type { Envelope } from './envelope.js';

/** Which way an envelope went; counted, so that tests and operators see where traffic flows. */
export type RelayPath = 'local' | 'unix' | 'redis';

/** `bad`: bytes that are no envelope. */
export type RelayOutcome = 'sent' | 'failed' | 'bad';

export interface Relay {
  /** Workers that `sendToAll` reaches, this one included; those of other nodes are not known, and not counted. */
  readonly width: number;
  /** Hands an envelope over; false when it surely does not arrive (queue full, no connection). Never waits. */
  send(to: WorkerId, envelope: Envelope): boolean;
  /** To every other worker of the deployment. Returns false when some could not be reached. */
  sendToAll(envelope: Envelope): boolean;
  close(): Promise<void>;
}

/** Called for each envelope that arrives; `path` tells how it came. Must not throw. */
export type EnvelopeListener = (envelope: Envelope, path: RelayPath) => void;

/** The way to other nodes. */
export interface NodeBridge {
  send(to: WorkerId, bytes: Buffer): boolean;
  sendToOtherNodes(bytes: Buffer): boolean;
  close(): Promise<void>;
}

/** The node that a worker belongs to: worker ids are `<node id>.<number>`. */
export function nodeOf(worker: WorkerId): string {
  return worker.slice(0, worker.lastIndexOf('.'));
}
