// Tokens and clients that are not welcome any more, as Redis keeps them: one list for the whole cluster.
import { GatewayError } from '../../protocol/errors.js';
import { revocationsOf } from './redis-records.js';
import { REVOCATIONS_LIMIT, REVOCATIONS_PAGE } from './revocation-list.js';
import type { Revocation } from './store.js';

/** Runs a script on the partition of the list. */
type Run = (script: 'revoke' | 'revocations', ...args: (string | number)[]) => Promise<unknown>;

export class RedisRevocations {
  constructor(private readonly run: Run) {}

  /** @throws GatewayError `limit` where the list is full */
  async add(revocation: Revocation): Promise<void> {
    const number = await this.run(
      'revoke',
      JSON.stringify(revocation),
      revocation.untilMs,
      REVOCATIONS_LIMIT,
    );
    if (number === 0) throw new GatewayError('limit');
  }

  async since(number: number): Promise<{ revocations: Revocation[]; number: number }> {
    const [newest, list] = (await this.run('revocations', number, REVOCATIONS_PAGE)) as [unknown, unknown];
    return { number: Number(newest), revocations: revocationsOf(list) };
  }
}
