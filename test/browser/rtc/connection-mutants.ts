// The part of the mutants about the connection itself, and about how the other side goes away.
import type { Mutant } from './mutant-build.js';

export const CONNECTION_MUTANTS: readonly Mutant[] = [
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
    file: 'condition.ts',
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
