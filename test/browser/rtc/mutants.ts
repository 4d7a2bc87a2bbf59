// Small edits that break the SDK in one place, and the specifications that fail by each: what is specified is seen to matter.
import type { Edit } from './mutant-build.js';

export interface Mutant extends Edit {
  name: string;
  /** Names of specifications, and of ways to go away; others may fail as well. */
  caughtBy: readonly string[];
  /** The mechanism that the specifications are played over; default the plain loopback, on which offers need not cross. */
  over?: string;
}

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
    from: 'const patience = { signal, timeoutMs, madeAt',
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
    from: 'outgoing.tracks.push(',
    to: 'if (known === undefined) outgoing.tracks.push(',
    caughtBy: ['addStream() again sends the tracks that the stream has more by now'],
  },
  {
    name: 'a stream may be empty',
    file: 'signaling-peer.ts',
    from: 'if (stream.getTracks().length === 0) throw',
    to: 'if (stream === null) throw',
    caughtBy: ['addStream() rejects with bad_parameter when the stream is empty'],
  },
  {
    name: 'with one stream all are removed',
    file: 'outgoing.ts',
    from: 'for (const sender of senders) this.#connection.removeTrack(sender);',
    to: 'for (const sender of this.#connection.getSenders()) this.#connection.removeTrack(sender);',
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
    from: 'if (!senders.some((sender) => sender.track === track))',
    to: 'if (!(globalThis.given ??= new Set()).has(track) && globalThis.given.add(track))',
    caughtBy: ['a stream that was removed can be added again'],
  },
  {
    name: 'a track is replaced by a negotiation',
    file: 'outgoing.ts',
    from: 'await sender?.replaceTrack(next);',
    to: 'if (sender) { this.#connection.removeTrack(sender); const stream = new MediaStream([next]); outgoing.senders = [this.#connection.addTrack(next, stream)]; }',
    caughtBy: ['replaceTrack() changes what is sent without a negotiation'],
  },
  {
    name: 'a track is not replaced',
    file: 'outgoing.ts',
    from: 'await sender?.replaceTrack(next);',
    to: '',
    caughtBy: ['replaceTrack() changes what is sent without a negotiation'],
  },
  {
    name: 'a track that is not sent can be replaced',
    file: 'outgoing.ts',
    from: 'if (outgoing === undefined) return false;',
    to: 'if (outgoing === undefined) return true;',
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
  {
    name: 'connect() offers nothing',
    file: 'signaling-peer.ts',
    from: `this.#beginWithData();
    await this.#until(() => this.state === 'connected', options);`,
    to: "await this.#until(() => this.state === 'connected', options);",
    caughtBy: [
      'connect() resolves with a peer that is connected, and the other side is not asked for anything',
    ],
  },
  {
    name: 'nothing is heard of the surroundings',
    file: 'surroundings.ts',
    from: '  const stop = watchNetwork({',
    to: `  if (signal) return;
  const stop = watchNetwork({`,
    caughtBy: [
      'another network restarts ICE of a peer that is connected, and channels stay open',
      'online of the window restarts ICE of what is not connected, and of nothing else',
      'visibilitychange of the document restarts ICE of what is not connected, and of nothing else',
      'a page that is closed says so',
      'a page that goes elsewhere says so',
    ],
    over: 'gateway, MessagePack',
  },
  {
    name: 'another network is like the one before',
    file: 'recovery.ts',
    from: "if (isOtherNetwork || this.#state !== 'connected') this.#restart();",
    to: "if (this.#state !== 'connected') this.#restart();",
    caughtBy: ['another network restarts ICE of a peer that is connected, and channels stay open'],
  },
  {
    name: 'what is connected is restarted, too',
    file: 'recovery.ts',
    from: "if (isOtherNetwork || this.#state !== 'connected') this.#restart();",
    to: 'this.#restart();',
    caughtBy: [
      'online of the window restarts ICE of what is not connected, and of nothing else',
      'visibilitychange of the document restarts ICE of what is not connected, and of nothing else',
    ],
  },
  {
    name: 'online is not heard',
    file: 'surroundings.ts',
    from: 'online: () => port.networkChanged(false),',
    to: 'online: () => {},',
    caughtBy: ['online of the window restarts ICE of what is not connected, and of nothing else'],
  },
  {
    name: 'visible is not heard',
    file: 'surroundings.ts',
    from: 'visible: () => port.networkChanged(false),',
    to: 'visible: () => {},',
    caughtBy: ['visibilitychange of the document restarts ICE of what is not connected, and of nothing else'],
  },
  {
    name: 'a page that goes away says nothing',
    file: 'surroundings.ts',
    from: 'persisted || port.goneAway()',
    to: 'persisted',
    caughtBy: [
      'a page that is closed before it was connected says so',
      'a page that is closed says so',
      'a page that goes elsewhere says so',
    ],
    over: 'gateway, MessagePack',
  },
  {
    name: 'only the browser says that a connection failed',
    file: 'recovery.ts',
    from: "const isFailed = connectionState === 'failed' || downMs >= limitMs;",
    to: "const isFailed = connectionState === 'failed';",
    caughtBy: ['a connection that does not come about is failed, and is restarted until it does'],
  },
  {
    name: 'what failed is not restarted',
    file: 'recovery.ts',
    from: `if (isFailed) this.#plan(now);
    else if`,
    to: 'if',
    caughtBy: ['a connection that does not come about is failed, and is restarted until it does'],
  },
  {
    name: 'a connection without candidates is not looked at',
    file: 'signaling-peer.ts',
    from: "return state === 'new' ? 'connecting' : state;",
    to: 'return state;',
    caughtBy: [
      'a connection that does not come about is closed with timeout after giveUpMs',
      'a connection that does not come about is failed, and is restarted until it does',
    ],
  },
  {
    name: 'a peer is never given up',
    file: 'recovery.ts',
    from: "connectionState === 'closed' || downMs >= this.#giveUpMs",
    to: "connectionState === 'closed'",
    caughtBy: [
      'a connection that does not come about is closed with timeout after giveUpMs',
      'a page whose process crashes is disconnected, then failed, then closed with timeout',
    ],
    over: 'gateway, MessagePack',
  },
  {
    name: 'disconnected is not told',
    file: 'recovery.ts',
    from: "else if (connectionState === 'disconnected') this.#move('disconnected');",
    to: '',
    caughtBy: ['a page whose process crashes is disconnected, then failed, then closed with timeout'],
    over: 'gateway, MessagePack',
  },
  {
    name: 'failed is not told',
    file: 'recovery.ts',
    from: `if (isFailed || this.#state === 'failed') this.#move('failed');
    else if`,
    to: 'if',
    caughtBy: [
      'a page whose process crashes is disconnected, then failed, then closed with timeout',
      'a connection that does not come about is failed, and is restarted until it does',
    ],
    over: 'gateway, MessagePack',
  },
];
