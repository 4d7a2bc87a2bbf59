// The signals of a call: how they are told from all else that two pages send when one is recorded, and written and read when it is replayed.
import { msgpackCodec } from '../../dist/protocol/index.js';
import { peerServer, peerServerDriver } from './peer-server.mjs';
import { keptDriver, sdkOptions, signalbox } from './signalbox.mjs';

const SIGNAL_EVENT = '~rtc';
const SIGNAL_TYPES = new Set(['OFFER', 'ANSWER', 'CANDIDATE']);

/** How a real call is recorded. `signalOf` gives what is kept of a message that was sent or came, null where it is no signal. */
export const RECORDED = {
  signalbox: {
    page: 'signalbox',
    system: (origin) => signalbox(2, 'signalbox', { settings: { ORIGINS: origin } }),
    optionsOf: (port) => (id) => ({ url: `ws://127.0.0.1:${port}`, ...sdkOptions(id) }),
    signalOf(data, isOut) {
      const bytes = Buffer.from(data, 'base64');
      const frame = isOut ? msgpackCodec.decodeClient(bytes) : msgpackCodec.decodeGateway(bytes);
      if ((frame.type !== 'send' && frame.type !== 'message') || frame.event !== SIGNAL_EVENT) return null;
      if (!isOut) return {};
      const { to, seq, payload } = frame;
      return {
        // To whoever it is, or to the session that has answered.
        isToSession: to.includes('#'),
        isVolatile: seq === 0,
        encoding: payload.encoding,
        data: Buffer.from(payload.data).toString('base64'),
      };
    },
  },
  'peer-server': {
    page: 'peerjs',
    system: () => peerServer,
    optionsOf: (port) => (id) => ({ port, id }),
    signalOf(data) {
      const { type, payload } = JSON.parse(data);
      return SIGNAL_TYPES.has(type) ? { type, payload } : null;
    },
  },
};

/** A number that takes four bytes on the wire, as after some thousands of messages. */
const FIRST_SEQ = 0x0100_0000;

/** A kept message's number; what begins, as the SDK says it in a connection's first one to somebody. */
function numbered(end) {
  end.kept = (end.kept ?? 0) + 1;
  return { seq: FIRST_SEQ + end.kept - 1, options: end.kept === 1 ? { first: FIRST_SEQ } : {} };
}

export const signalboxCallDriver = {
  ...keptDriver,
  /** Done once, so that the generators have less to do. */
  prepare: ({ data, ...signal }) => ({ ...signal, data: Buffer.from(data, 'base64') }),
  /** The bytes of a recorded signal. @param session of the other end, as far as one was heard of */
  signal({ isToSession, isVolatile, encoding, data }, { end, to, session }) {
    const ref = ++end.count;
    return Buffer.from(
      msgpackCodec.encodeClient({
        type: 'send',
        ref,
        ...(isVolatile ? { seq: 0, options: {} } : numbered(end)),
        to: isToSession ? `${to}#${session}` : to,
        event: SIGNAL_EVENT,
        payload: { encoding, data },
      }),
    );
  },
  /** What came: from which session, and whether it is what was recorded. */
  hear(bytes, from, { data }) {
    const frame = msgpackCodec.decodeGateway(bytes);
    const isSame =
      frame.from === from && frame.event === SIGNAL_EVENT && Buffer.compare(frame.payload.data, data) === 0;
    return { session: frame.session, isSame };
  },
};

export const peerServerCallDriver = {
  ...peerServerDriver,
  isMessage: (bytes) => /"type":"(OFFER|ANSWER|CANDIDATE)"/.test(bytes.toString('latin1', 0, 4096)),
  prepare: ({ payload, ...signal }) => ({ ...signal, payload: JSON.stringify(payload) }),
  signal: ({ type, payload }, { to }) => Buffer.from(`{"type":"${type}","payload":${payload},"dst":"${to}"}`),
  /** The server writes what it has parsed: the same JSON, and who sent it. */
  hear: (bytes, from, { type, payload }) => ({
    session: null,
    isSame: [`"type":"${type}"`, `"payload":${payload}`, `"src":"${from}"`].every((part) =>
      bytes.includes(part),
    ),
  }),
};
