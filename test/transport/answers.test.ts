// Answers of one session and everything else that goes to its connection: in order, once, none left behind.
import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import fc from 'fast-check';
import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import { msgpackCodec } from '../../src/protocol/msgpack-codec.js';
import { TickFlusher } from '../../src/transport/tick-flusher.js';
import { WebSocketConnection } from '../../src/transport/websocket.js';
import { Framer } from '../../src/transport/websocket-frames.js';

beforeEach(() => {
  jest.useFakeTimers();
});
afterEach(() => {
  jest.useRealTimers();
});

const step = fc.oneof(
  fc.record({ kind: fc.constant('send' as const), who: fc.nat(2), canWait: fc.boolean() }),
  fc.record({ kind: fc.constant('tick' as const) }),
  fc.record({ kind: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 3 }) }),
  fc.record({ kind: fc.constant('close' as const), who: fc.nat(2) }),
);

test('what can wait leaves in order, once, within 2 ms, and before the connection closes', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const flusher = new TickFlusher();
      const framer = new Framer();
      const wires = [0, 1, 2].map(() => ({ bytes: '', closedAfter: -1 }));
      const connections = wires.map((wire) => {
        const ws = {
          readyState: 1,
          OPEN: 1,
          resume: () => undefined,
          close: () => {
            ws.readyState = 2;
            wire.closedAfter = wire.bytes.length;
          },
        };
        const socket = {
          writableLength: 0,
          cork() {},
          uncork() {},
          write: (chunk: Uint8Array) => {
            wire.bytes += Buffer.from(chunk).toString('latin1');
            return true;
          },
        };
        return new WebSocketConnection(
          ws as unknown as WebSocket,
          socket as unknown as Duplex,
          flusher,
          framer,
          msgpackCodec,
          '',
          false,
        );
      });
      const sent = wires.map((): { text: string; at: number; canWait: boolean }[] => []);
      let now = 0;
      let number = 0;
      const heard = (i: number) =>
        [...(wires[i]?.bytes ?? '').matchAll(/<(\d+)>/g)].map(([, n]) => Number(n));
      const check = (isTick: boolean) => {
        for (const [i, frames] of sent.entries()) {
          const got = heard(i);
          expect(got).toEqual(frames.map(({ text }) => Number(text.slice(1, -1))).slice(0, got.length));
          for (const { canWait, at } of frames.slice(got.length)) {
            if (isTick) expect(canWait).toBe(true);
            if (canWait) expect(now - at).toBeLessThan(2);
          }
        }
      };
      for (const each of steps) {
        if (each.kind === 'send') {
          const text = `<${String(++number)}>`;
          if (connections[each.who]?.send(Buffer.from(text), each.canWait) === true)
            sent[each.who]?.push({ text, at: now, canWait: each.canWait });
        } else if (each.kind === 'tick') {
          jest.advanceTimersByTime(0);
          check(true);
        } else if (each.kind === 'wait') {
          for (let ms = 0; ms < each.ms; ms++) {
            now++;
            jest.advanceTimersByTime(1);
          }
          check(true);
        } else {
          connections[each.who]?.close('restart');
          expect(heard(each.who).length).toBe(sent[each.who]?.length);
          expect(wires[each.who]?.closedAfter).toBe(wires[each.who]?.bytes.length);
        }
      }
      jest.runAllTimers();
      for (const [i, frames] of sent.entries()) expect(heard(i).length).toBe(frames.length);
    }),
    { numRuns: 300 },
  );
});
