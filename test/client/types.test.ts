// The types that an application's own events give to the SDK; the compiler is the judge, the run only a formality.
import { expect, test } from '@jest/globals';
import { type Call, Client } from '../../src/client/index.js';

interface Events {
  greet: { hi: number };
  add: Call<[number, number], number>;
}

test('typed events take their own data and give their own results', () => {
  const client = new Client<Events>('ws://127.0.0.1:1', { token: 'a.b.c' });
  client.onMessage('greet', (data) => data.hi.toFixed());
  client.onRequest('add', ([a, b], from) => (from.client === 'bob' ? a + b : Promise.resolve(0)));
  client.room('lobby').onMessage('greet', (data) => data.hi.toFixed());
  const calls = (): unknown[] => [
    client.send('bob', 'greet', { hi: 1 }),
    client.request('bob', 'add', [1, 2]).then((sum) => sum.toFixed()),
    // @ts-expect-error the data of another event
    client.send('bob', 'greet', [1, 2]),
    // @ts-expect-error an event that does not exist
    client.room('lobby').publish('great', { hi: 1 }),
    // @ts-expect-error a number has no length
    client.request('bob', 'add', [1, 2]).then((sum) => sum.length),
  ];
  expect(calls).toBeInstanceOf(Function);
});

test('untyped events carry unknown, and handlers may annotate what they expect', () => {
  const client = new Client('ws://127.0.0.1:1', { token: 'a.b.c' });
  client.onMessage('greet', (data: { hi: number }) => data.hi);
  client.onRequest('add', ([a, b]: [number, number]) => a + b);
  expect(client.state).toBe('idle');
});
