// Small edits that break the SDK in one place, and the specifications that fail by each: what is specified is seen to matter.
import { CONNECTION_MUTANTS } from './connection-mutants.js';
import type { Mutant } from './mutant-build.js';

export const MUTANTS: readonly Mutant[] = [
  {
    name: 'a channel is given out before it is open',
    file: 'signaling-peer.ts',
    from: "return readyState === 'open';",
    to: 'return true;',
    caughtBy: ['createDataChannel() resolves with a channel that is open and carries bytes both ways'],
  },
  {
    name: 'only the leader is told of channels',
    file: 'signaling-peer.ts',
    from: "listen('datachannel', ({ channel }) => this.#listeners.emit('datachannel', channel));",
    to: "listen('datachannel', ({ channel }) => this.#isLeader() && this.#listeners.emit('datachannel', channel));",
    caughtBy: ['createDataChannel() works from the side that was called'],
  },
  {
    name: 'the leader takes an offer that crosses its own',
    file: 'negotiation.ts',
    from: `if (this.#isLeader()) return;
    }`,
    to: '}',
    caughtBy: [
      'createDataChannel() of both sides at the same moment opens both channels',
      'addStream() of both sides at the same moment makes media flow both ways',
    ],
    over: 'loopback with random delay',
  },
  {
    name: 'channels have no options',
    file: 'signaling-peer.ts',
    from: 'this.peer.createDataChannel(label, channelOptions)',
    to: 'this.peer.createDataChannel(label)',
    caughtBy: ['createDataChannel() many times without waiting opens each with its own label and options'],
  },
  {
    name: 'no wait has a limit of its own',
    file: 'flow.ts',
    from: 'const patience = { signal, timeoutMs: limitMs, madeAt',
    to: 'const patience = { signal, timeoutMs: WAIT_DEFAULT_MS, madeAt',
    caughtBy: [
      'createDataChannel() rejects with timeout when nobody is at the other end',
      'connect() rejects with timeout when nobody is at the other end',
    ],
  },
  {
    name: 'no wait hears of its signal',
    file: 'flow.ts',
    from: 'const patience = { signal, timeoutMs',
    to: 'const patience = { signal: undefined, timeoutMs',
    caughtBy: ['createDataChannel() rejects with aborted when its signal says so'],
  },
  {
    name: 'who is made later does not greet',
    file: 'dialogue.ts',
    from: 'if (this.#remote !== null || this.#seq > 0 || this.#isClosing) return;',
    to: 'return;',
    caughtBy: ['a peer that is made later gets the offer that it missed'],
  },
  {
    name: 'neither side takes an offer that crosses its own',
    file: 'negotiation.ts',
    from: `if (this.#isLeader()) return;
    }`,
    to: `return;
    }`,
    caughtBy: [
      'createDataChannel() of both sides at the same moment opens both channels',
      'a peer that is made later and offers at once meets the offer that waits for it',
    ],
    over: 'loopback with random delay',
  },
  {
    name: 'tracks belong to no stream',
    file: 'outgoing.ts',
    from: 'this.#connection.addTrack(track, stream)',
    to: 'this.#connection.addTrack(track)',
    caughtBy: ['addStream() resolves with the same stream when its media flows, and the other side gets it'],
  },
  {
    name: "the follower's media wait for ever",
    file: 'outgoing.ts',
    from: 'for (const [stream, outgoing] of this.#streams) this.#attach(stream, outgoing);',
    to: '',
    caughtBy: [
      'addStream() and createDataChannel() of both sides overlap',
      'addStream() of both sides at the same moment makes media flow both ways',
    ],
  },
  {
    name: 'nobody hears that the follower wants the turn',
    file: 'negotiation.ts',
    from: `case 'want':
        this.#isAsked = true;`,
    to: "case 'want':",
    caughtBy: [
      'addStream() during a call adds tracks later, from either side',
      'restartIce() works from either side, whichever offered first, and so do the rounds after it',
    ],
  },
  {
    name: 'a stream that is known has no more tracks',
    file: 'outgoing.ts',
    from: 'if (![...tracks].flat().includes(track))',
    to: 'if (outgoing.senders.size === 0)',
    caughtBy: ['addStream() again sends the tracks that the stream has more by now'],
  },
  {
    name: 'a stream may be empty',
    file: 'signaling-peer.ts',
    from: 'assertTracks(stream);',
    to: '',
    caughtBy: ['addStream() rejects with bad_parameter when the stream is empty'],
  },
  {
    name: 'with one stream all are removed',
    file: 'outgoing.ts',
    from: 'for (const sender of senders) {',
    to: 'for (const sender of this.#connection.getSenders()) {',
    caughtBy: ['removeStream() ends the tracks on the other side and leaves the others'],
  },
  {
    name: 'an addStream() does not see that its stream was removed',
    file: 'signaling-peer.ts',
    from: 'if (this.#outgoing.get(stream) !== outgoing)',
    to: 'if (outgoing === null)',
    caughtBy: ['removeStream() rejects an addStream() that is under way with aborted'],
  },
  {
    name: 'no track is attached twice',
    file: 'outgoing.ts',
    from: 'if (track !== null && !senders.has(original))',
    to: 'if (!(globalThis.given ??= new Set()).has(track) && globalThis.given.add(track))',
    caughtBy: ['a stream that was removed can be added again'],
  },
  {
    name: 'no sender is used again',
    file: 'outgoing.ts',
    from: 'if (this.#idle.size === 0) return undefined;',
    to: 'if (this.#idle.size >= 0) return undefined;',
    caughtBy: ['streams that come and go for long do not make the descriptions grow'],
  },
  {
    name: 'a sender that is used again keeps its stream',
    file: 'outgoing.ts',
    from: 'sender.setStreams(stream);',
    to: '',
    caughtBy: ['streams that come and go for long do not make the descriptions grow'],
  },
  {
    name: 'a track counts as replaced when it is',
    file: 'outgoing.ts',
    from: `outgoing.tracks.set(original, next);
        this.#replacing++;
        try {
          await outgoing.senders.get(original)?.replaceTrack(next);`,
    to: `this.#replacing++;
        try {
          await outgoing.senders.get(original)?.replaceTrack(next);
          outgoing.tracks.set(original, next);`,
    caughtBy: ['replaceTrack() again before the first is done ends with what came last'],
  },
  {
    name: 'a channel that was never made counts',
    file: 'signaling-peer.ts',
    from: 'const make = (): RTCDataChannel => {',
    to: 'this.#hasChannel = true; const make = (): RTCDataChannel => {',
    caughtBy: ['a channel that was given up, or could not be made, keeps nothing from connecting'],
  },
  {
    name: 'a track is replaced by a negotiation',
    file: 'outgoing.ts',
    from: 'await outgoing.senders.get(original)?.replaceTrack(next);',
    to: 'const sender = outgoing.senders.get(original); if (sender) { this.#connection.removeTrack(sender); outgoing.senders.set(original, this.#connection.addTrack(next, stream)); }',
    caughtBy: ['replaceTrack() changes what is sent without a negotiation'],
  },
  {
    name: 'a track is not replaced',
    file: 'outgoing.ts',
    from: 'await outgoing.senders.get(original)?.replaceTrack(next);',
    to: '',
    // Without the other way to add a track, Chromium's tab crashes in the second one, which this list has no word for.
    caughtBy: [
      'replaceTrack() changes what is sent without a negotiation',
      'a stream that is added, muted and followed by another one in one turn sends the other one alone',
    ],
  },
  {
    name: 'what replaces a track shows nothing',
    file: 'outgoing.ts',
    from: 'await outgoing.senders.get(original)?.replaceTrack(next);',
    to: 'if (next) next.enabled = false; await outgoing.senders.get(original)?.replaceTrack(next);',
    caughtBy: ['replaceTrack() changes what is sent without a negotiation'],
  },
  {
    name: 'nothing is sent of a track',
    file: 'outgoing.ts',
    from: 'senders.set(original, this.#again(track, stream) ?? this.#send(track, stream));',
    to: '{ const sender = this.#connection.addTrack(track, stream); senders.set(original, sender); void sender.replaceTrack(null); }',
    caughtBy: [
      'addStream() of both sides at the same moment makes media flow both ways',
      'addStream() and createDataChannel() of both sides overlap',
      'addStream() during a call adds tracks later, from either side',
      'a stream that was removed can be added again',
    ],
  },
  {
    name: 'a track that was replaced is forgotten',
    file: 'outgoing.ts',
    from: '[...tracks].flat().includes(track)',
    to: '[...tracks.values()].includes(track)',
    caughtBy: ['addStream() again after replaceTrack() sends only what the stream has more by now'],
  },
  {
    name: 'a track that is not sent can be replaced',
    file: 'outgoing.ts',
    from: 'return false;',
    to: 'return true;',
    caughtBy: ['replaceTrack() rejects with bad_parameter when the track is not sent'],
  },
  {
    name: 'an end that is closed says nothing',
    file: 'dialogue.ts',
    from: "if (this.#remote !== null || this.#seq > 0) this.#push({ type: 'bye' });",
    to: '',
    caughtBy: ['close() tells the other side before anything is connected'],
  },
  {
    name: 'an end that is closed goes on',
    file: 'signaling-peer.ts',
    from: `this.#dialogue.close();
    this.peer.close();
    this.#waits`,
    to: 'this.#waits',
    caughtBy: ['close() tells the other side, which is closed by that'],
  },
  {
    name: 'what waits is left waiting by the end',
    file: 'signaling-peer.ts',
    from: "this.#waits.failAll(typeof reason === 'string' ? new GatewayError('closed') : reason);",
    to: '',
    caughtBy: ['close() rejects with closed what waits, and what is called after it'],
  },
  {
    name: 'an end that is closed takes calls',
    file: 'signaling-peer.ts',
    from: "if (this.#isClosed) throw new GatewayError('closed');",
    to: '',
    caughtBy: ['close() rejects with closed what waits, and what is called after it'],
  },
  {
    name: 'an end has the identity of the one before it',
    file: 'dialogue.ts',
    from: 'mechanism.id ?? randomId()',
    to: `mechanism.id ?? \`\${info.localId} \${info.name}\``,
    caughtBy: ['a new peer of the same two works after the first was closed'],
    over: 'gateway, MessagePack',
  },
  {
    name: 'a connection that comes about is told as one that was lost',
    file: 'recovery.ts',
    from: "else if (this.#state === 'new') this.#move('connecting');",
    to: "else if (this.#state === 'new') this.#move('disconnected');",
    caughtBy: ['state goes from new over connecting to connected on both sides'],
  },
  {
    name: 'restartIce() does nothing',
    file: 'signaling-peer.ts',
    from: `    this.#negotiation.restartIce();
`,
    to: '',
    caughtBy: [
      'restartIce() of both sides at the same moment leaves one connection that works',
      'restartIce() finds a new way while channels stay open',
    ],
  },
  {
    name: 'the turn that was lent is never taken back',
    file: 'negotiation.ts',
    from: `if (this.#isLeader()) this.#isLent = false;
        this.#agreed(false);`,
    to: 'this.#agreed(false);',
    caughtBy: ['restartIce() works from either side, whichever offered first, and so do the rounds after it'],
  },
  {
    name: 'the first offer may be without data',
    file: 'signaling-peer.ts',
    from: 'onOffer: () => this.#beginWithData(),',
    to: 'onOffer: () => {},',
    caughtBy: ['createDataChannel() in a call of media only needs no negotiation'],
  },
  {
    name: 'names do not tell peers apart',
    file: 'loopback-signaling.ts',
    from: 'a.remoteId === b.localId && a.name === b.name',
    to: 'a.remoteId === b.localId',
    caughtBy: ['peers with different names between the same two are independent'],
  },
  {
    name: 'a handler property is taken',
    file: 'signaling-peer.ts',
    from: "listen('icecandidate', ({ candidate }) => this.#candidates.gathered(candidate));",
    to: 'this.peer.onicecandidate = ({ candidate }) => this.#candidates.gathered(candidate);',
    caughtBy: ['no handler property of the connection or of a channel is taken'],
  },
  {
    name: 'errors of servers are not heard of',
    file: 'signaling-peer.ts',
    from: "listen('icecandidateerror', (event) => this.#collect(iceError(event)));",
    to: '',
    caughtBy: [
      'errors of servers that cannot be reached are collected, and the connection succeeds without them',
    ],
  },
  {
    name: 'an offer that cannot be applied is not refused',
    file: 'negotiation.ts',
    from: "steps.push({ do: 'send', signal: { type: 'refuse', round: this.#acceptedRound } });",
    to: '',
    caughtBy: ['a signal that is none, and a description that is none, do no harm'],
  },
  {
    name: 'all is agreed on at any time',
    file: 'negotiation-driver.ts',
    from: "return this.#machine.isSettled && this.#connection.signalingState === 'stable';",
    to: 'return true;',
    caughtBy: ['agreed() resolves when both sides agree on all that was asked for'],
    over: 'loopback with random delay',
  },
  ...CONNECTION_MUTANTS,
];
