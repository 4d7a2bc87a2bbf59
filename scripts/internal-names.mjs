// Names of properties that the browser's bundle shortens: all are between the SDK's own modules.
// None may be an option or method that applications see, stand in a frame, or a welcome, belong to the platform, or be met by an application.

export const INTERNAL_NAMES = [
  // Calls, and the messages that the gateway keeps.
  ...['ahead', 'askAgain', 'bytes', 'fail', 'flush', 'frame', 'isAwaited', 'isReceived', 'loading', 'missed'],
  ...['onDrain', 'onExpired', 'onLoss', 'patient', 'receipt', 'received', 'sessionLost'],
  ...['settled', 'start', 'startedAt', 'succeed', 'wire', 'isFlying', 'isAccepted', 'isUnsure', 'until'],
  ...[
    'accepted',
    'again',
    'attempts',
    'drop',
    'dropped',
    'failed',
    'hasRoomFor',
    'isDone',
    'isReadyToRestart',
  ],
  ...[
    'isUnrepeatable',
    'lost',
    'needsPause',
    'number',
    'openBytes',
    'refused',
    'restart',
    'takesNew',
    'unwritable',
  ],
  ...[
    'cancelWait',
    'expiresAt',
    'question',
    'queue',
    'remove',
    'takeAll',
    'takes',
    'tryWrite',
    'waitMs',
    'callWith',
    'late',
    'loaded',
    'use',
    'calls',
    'flight',
    'isVolatile',
    'settings',
    'onToken',
    'admits',
    'desk',
    'isFull',
    'madeAt',
    'make',
    'source',
    'onCode',
    'useHints',
    'membershipOf',
    'patiently',
    'wantsPresence',
    'keep',
    'sync',
    'big',
    'field',
    'integer',
    'view',
  ],
  // The connection.
  ...[
    'congested',
    'ended',
    'learn',
    'onClose',
    'onEnd',
    'onError',
    'onFrame',
    'onLost',
    'onState',
    'onWelcome',
  ],
  ...['open', 'probe', 'renew', 'renewable', 'tokens', 'visible', 'write'],
  // What arrives.
  ...['accept', 'answer', 'emit', 'empty', 'forget', 'inOrder', 'notice', 'onFailure', 'onGap', 'reader'],
  ...['receive', 'receivePresence', 'report', 'restore', 'take', 'welcomed'],
  // Codecs.
  ...['array', 'arrayHeader', 'bin', 'binary', 'byte', 'decodeGateway', 'depth', 'elements', 'encodeClient'],
  ...[
    'encoding',
    'fault',
    'fields',
    'items',
    'nil',
    'opaque',
    'raw',
    'refuse',
    'reset',
    'string',
    'stringOrNull',
  ],
  ...['uint', 'unknownType', 'value', 'extension', 'snapshot'],
];

/** @throws where a name is also written as a text, which stays as it is: `'frame' in call` */
export function refuseQuotedNames(source) {
  const quoted = INTERNAL_NAMES.find((name) => new RegExp(`(['"])${name}\\1 in\\b`).test(source));
  if (quoted !== undefined)
    throw new Error(`scripts/internal-names.mjs shortens ${quoted}, which is quoted.`);
}
