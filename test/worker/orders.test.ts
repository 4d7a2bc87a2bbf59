// What a worker answers the primary.
import { expect, test } from '@jest/globals';
import { GatewayError } from '../../src/protocol/errors.js';
import type { ToPrimary } from '../../src/worker/control.js';
import { Orders, type OrdersOptions } from '../../src/worker/orders.js';
import { until } from '../gateway-process.js';

test.each([
  [null, null],
  [new GatewayError('limit'), 'limit'],
  [new GatewayError('unavailable'), 'unavailable'],
  [new Error('a mistake of ours'), 'internal_error'],
])('a revocation that the store answers with %p is answered with %p', async (failure, refusal) => {
  const told: ToPrimary[] = [];
  const orders = new Orders({
    store: { revoke: () => (failure === null ? Promise.resolve() : Promise.reject(failure)) },
    tell: (message: ToPrimary) => Promise.resolve(void told.push(message)),
  } as unknown as OrdersOptions);
  orders.receive({ type: 'revoke', id: 7, revocation: { kind: 'token', id: 'jti', untilMs: 1 } } as never);
  await until(() => told.length > 0);
  expect(told).toEqual([{ type: 'revoked', id: 7, refusal }]);
});
