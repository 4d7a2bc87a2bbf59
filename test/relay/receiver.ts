// A session whose frames a test reads.
import { pino } from 'pino';
import type { GatewayFrame } from '../../src/protocol/frame.js';
import type { ClientId, SessionId } from '../../src/protocol/ids.js';
import { createJsonCodec } from '../../src/protocol/json-codec.js';
import { type Connection, wholeFrame } from '../../src/session/connection.js';
import { parsePermissions } from '../../src/session/permissions.js';
import { Session } from '../../src/session/session.js';

const codec = createJsonCodec();

export function sessionId(name: string): SessionId {
  return name.padEnd(22, '0') as SessionId;
}

export function createReceiver(client: string, name = client): { session: Session; frames: GatewayFrame[] } {
  const frames: GatewayFrame[] = [];
  const connection: Connection = {
    codec,
    address: '127.0.0.1',
    queuedBytes: 0,
    send: (frame) => frames.push(codec.decodeGateway(wholeFrame(frame))) > 0,
    pause: () => undefined,
    close: () => undefined,
    terminate: () => undefined,
  };
  const ref = { client: client as ClientId, session: sessionId(name), generation: 1 };
  const identity = {
    client: ref.client,
    expiresAtMs: 0,
    issuedAtMs: null,
    tokenId: null,
    permissions: parsePermissions('*'),
  };
  return { session: new Session(ref, identity, connection, 1_000_000, pino({ level: 'silent' })), frames };
}
