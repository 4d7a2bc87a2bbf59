// Standing offers between every pair of places: who asks for one gets it once, and the callee hears of it before the call.
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { STANDING_OFFER_LIMIT_BYTES } from '../../src/protocol/limits.js';
import { WireClient, type WireFrame } from '../delivery/wire-client.js';
import { type GatewayProcess, until } from '../gateway-process.js';
import { deploy, type Deployment, fresh, type Placement, PLACEMENTS } from './deployment.js';

const STANDING_OFFER = 98;
/** Below the limit of sessions that one client may have. */
const ATTEMPTS = 16;

describe.each(['embedded', 'redis'] as const)('%s store', (store) => {
  let deployment: Deployment;
  const open: WireClient[] = [];
  beforeAll(async () => {
    deployment = await deploy(store);
  }, 40_000);
  afterEach(() => {
    for (const client of open.splice(0)) client.close();
  });
  afterAll(() => deployment.stop());

  const gatewayOf = (placement: Placement): GatewayProcess => {
    const gateway = deployment.gateways[placement === 'other node' ? 1 : 0];
    if (gateway === undefined) throw new Error('no gateway');
    return gateway;
  };
  const connect = async (
    gateway: GatewayProcess,
    name: string,
    resume: Parameters<typeof WireClient.connect>[2] = null,
  ): Promise<WireClient> => {
    const client = await WireClient.connect(gateway, name, resume);
    open.push(client);
    return client;
  };
  const workerOf = async (gateway: GatewayProcess, name: string, { info }: WireClient) => {
    const places = await gateway.locate(name);
    return places.find(({ session }) => session === info.session)?.worker;
  };
  /** Alice at the first node, and bob so far from her, each with one session. */
  const pair = async (placement: Placement) => {
    const [home, away] = [gatewayOf('same worker'), gatewayOf(placement)];
    const [alice, bob] = [fresh('alice'), fresh('bob')];
    const caller = await connect(home, alice);
    const own = await workerOf(home, alice, caller);
    const others: WireClient[] = [];
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const callee = await connect(away, bob);
      const worker = await workerOf(away, bob, callee);
      if ((worker === own) === (placement === 'same worker')) {
        // A client of several sessions is asked at none.
        for (const other of others) other.write(9);
        await until(async () => (await away.locate(bob)).length === 1);
        return { alice, bob, caller, callee, away };
      }
      others.push(callee);
    }
    throw new Error('bob never came to the wanted worker');
  };
  const leave = (client: WireClient, id: string, offer: unknown) =>
    client.call(STANDING_OFFER, id, '~rtc', 'json', offer);
  const call = (client: WireClient, to: string, text: string, name: string) => {
    client.write(16, 0, 0, { standing: name }, to, '~rtc', 'json', text);
  };
  /** All messages that have come by when one does that was sent after all others. */
  const messages = async (client: WireClient, by: WireClient, to: string, mark: string) => {
    by.write(16, 0, 0, {}, to, mark, 'none', null);
    await until(() => client.heard.includes(mark));
    return client.frames
      .filter(([type]) => type === 17)
      .map(([, id, options, from, session, event, , data]: WireFrame) => ({
        id,
        options,
        from,
        session,
        event,
        data,
      }))
      .filter(({ event }) => event === '~rtc');
  };

  describe.each(PLACEMENTS[store])('%s', (placement) => {
    test('goes to the first who asks, and to nobody after', async () => {
      const { alice, bob, caller, callee } = await pair(placement);
      expect(await leave(callee, 'end-1', 'the first')).toBe(null);
      expect(await leave(callee, 'end-2', 'the second')).toBe(null);
      call(caller, bob, 'a call', 'from-1');
      call(caller, bob, 'another', 'from-2');
      const rest = { id: null, event: '~rtc' };
      const from = { ...rest, from: alice, session: caller.info.session };
      expect(await messages(callee, caller, bob, 'mark')).toEqual([
        { ...from, options: { trace: 'from-1' }, data: 'end-2' },
        { ...from, options: {}, data: 'a call' },
        { ...from, options: {}, data: 'another' },
      ]);
      // What bob has heard of the second call was decided on before he says this.
      expect(await messages(caller, callee, alice, 'mark')).toEqual([
        {
          ...rest,
          from: bob,
          session: callee.info.session,
          options: { trace: 'from-1' },
          data: 'the second',
        },
      ]);
    });

    test('is kept where two call each other', async () => {
      const { alice, bob, caller, callee } = await pair(placement);
      await leave(caller, 'end-a', 'of alice');
      await leave(callee, 'end-b', 'of bob');
      call(caller, bob, 'from alice', 'a');
      await until(() => callee.heard.length === 2);
      call(callee, alice, 'from bob', 'b');
      const data = (list: { data: unknown }[]) => list.map((one) => one.data);
      expect(data(await messages(caller, callee, alice, 'mark'))).toEqual(['of bob', 'from bob']);
      expect(data(await messages(callee, caller, bob, 'mark'))).toEqual(['end-b', 'from alice']);
    });

    test('is nobody where there are several sessions, unless the address names one', async () => {
      const { bob, caller, callee, away } = await pair(placement);
      const home = gatewayOf('same worker');
      await leave(callee, 'end', 'of bob');
      const other = await connect(away, bob);
      await until(async () => (await away.locate(bob)).length === 2);
      // The caller's worker may have an old route for a moment.
      await until(async () => {
        caller.write(16, 0, 0, {}, bob, 'look', 'none', null);
        await messages(callee, caller, bob, 'looked');
        return other.heard.includes('look');
      });
      const outcomes = (outcome: string) => home.metric('standing_offers_total', { outcome });
      const before = await outcomes('sessions');
      const data = (list: { data: unknown }[]) => list.map((one) => one.data);
      const carol = fresh('carol');
      const third = await connect(home, carol);
      call(third, bob, 'to both', 'c');
      expect(data(await messages(callee, third, bob, 'mark'))).toEqual(['to both']);
      expect(data(await messages(other, third, bob, 'more'))).toEqual(['to both']);
      expect(data(await messages(third, callee, carol, 'mark'))).toEqual([]);
      await until(async () => (await outcomes('sessions')) === before + 1);

      // A session that has not asked yet: who has may not again so soon.
      const dave = fresh('dave');
      const fourth = await connect(home, dave);
      call(fourth, `${bob}#${callee.info.session}`, 'to one', 'd');
      expect(data(await messages(callee, fourth, bob, 'end'))).toEqual(['to both', 'end', 'to one']);
      expect(data(await messages(fourth, callee, dave, 'mark'))).toEqual(['of bob']);
    });

    test.each([
      ['volatile', 0],
      ['kept', null],
    ] as const)('is not given to whom its holder has called by a %s message', async (_what, seq) => {
      const { alice, bob, caller, callee } = await pair(placement);
      await leave(callee, 'end', 'of bob');
      callee.write(16, 0, seq, { standing: '' }, alice, '~rtc', 'json', 'hello');
      await until(() => caller.heard.includes('~rtc'));
      call(caller, bob, 'from alice', 'a');
      const heard = await messages(callee, caller, bob, 'mark');
      expect(heard.map(({ data }) => data)).toEqual(['from alice']);
      const said = await messages(caller, callee, alice, 'mark');
      expect(said.map(({ data }) => data)).toEqual(['hello']);
    });

    test('is over with its connection, and when it is taken back', async () => {
      const { alice, bob, caller, callee, away } = await pair(placement);
      await leave(callee, 'end-1', 'of the first connection');
      await callee.cut();
      const back = await connect(away, bob, { from: callee });
      expect(back.info).toMatchObject({ resumed: true });
      await until(async () => (await away.locate(bob)).some(({ connected }) => connected));
      call(caller, bob, 'a call', 'a');
      const heard = await messages(back, caller, bob, 'mark');
      expect(heard.map(({ data }) => data)).toEqual(['a call']);
      await leave(back, 'end-2', 'of the second');
      expect(await back.call(STANDING_OFFER, 'end-2', '~rtc', 'none', null)).toBe(null);
      // The first caller may not ask again so soon.
      const carol = fresh('carol');
      const third = await connect(gatewayOf('same worker'), carol);
      call(third, bob, 'one more', 'b');
      expect((await messages(back, third, bob, 'end')).map(({ data }) => data)).toEqual([
        'a call',
        'one more',
      ]);
      expect(await messages(third, back, carol, 'mark')).toEqual([]);
      expect(await messages(caller, back, alice, 'mark')).toEqual([]);
    });
  });

  test('is refused where it is too large, or nothing of the kind', async () => {
    const client = await connect(gatewayOf('same worker'), fresh('bob'));
    const fits = 'x'.repeat(STANDING_OFFER_LIMIT_BYTES - 2);
    expect(await leave(client, 'end', fits)).toBe(null);
    expect(await leave(client, 'end', `${fits}x`)).toEqual(['bad_parameter', null]);
    expect(await leave(client, 'not a name', 'x')).toEqual(['bad_parameter', null]);
    expect(await client.call(STANDING_OFFER, 'end')).toEqual(['bad_parameter', null]);
    // It can be asked for with a volatile message to one client only.
    expect(await client.call(16, null, { standing: 'a' }, 'bob', 'e', 'none', null)).toEqual([
      'bad_parameter',
      null,
    ]);
    expect(await client.call(16, 0, { standing: 'a' }, ['bob', 'al'], 'e', 'none', null)).toEqual([
      'bad_parameter',
      null,
    ]);
    expect(await client.call(16, 0, { standing: 'a b' }, 'bob', 'e', 'none', null)).toEqual([
      'bad_parameter',
      null,
    ]);
  });
});
