// Verdicts of one plugin that are waited for at once: bounded, and whoever comes past the bound is told to come back.
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';
import { pino } from 'pino';
import type { ClientFrame } from '../../src/protocol/frame.js';
import type { RoomName } from '../../src/protocol/ids.js';
import { PluginHost } from '../../src/plugin/plugin-host.js';
import type { Fault } from '../../src/plugin/plugin-calls.js';
import { SessionRegistry } from '../../src/session/registry.js';
import { TimerWheel } from '../../src/session/wheel.js';
import { createReceiver } from '../relay/receiver.js';

/** As in src/plugin/plugin-calls.ts. */
const PENDING_LIMIT = 10_000;

test('a plugin that hangs over too many verdicts is not asked further: overloaded, for visitors and for frames', async () => {
  const faults: Fault[] = [];
  const wheel = new TimerWheel();
  const host = new PluginHost({
    entries: [
      {
        name: 'bad',
        file: fileURLToPath(new URL('./modules/bad.mjs', import.meta.url)),
        options: { how: 'hang', decides: true },
        timeoutMs: 600_000,
      },
    ],
    node: 'n',
    worker: 'n.1',
    registry: new SessionRegistry(),
    wheel,
    log: pino({ level: 'silent' }),
    frameLimitBytes: 1_000,
    count: (_plugin, fault) => void faults.push(fault),
  });
  try {
    await host.load({
      call: () => Promise.reject(new Error('no calls here')),
      accept: () => {
        throw new Error('no sessions here');
      },
    });
    const { session } = createReceiver('ann', 'ann');
    const visitor = { address: '127.0.0.1', agent: null, renewal: false };
    const knock = () => host.admit(session.identity, visitor);
    for (let i = 0; i < PENDING_LIMIT; i++) void knock();
    expect(faults).toEqual([]);
    expect(await knock()).toBe('overloaded');
    const join: ClientFrame = { type: 'join', ref: 1, room: 'r' as RoomName, since: null };
    expect(host.frameIn(session, join)).toMatchObject({ code: 'overloaded' });
    expect(faults).toEqual(['overload', 'overload']);
  } finally {
    wheel.close();
  }
});
