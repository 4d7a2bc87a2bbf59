// Firefox is spared a restart of ICE while another one is under way: the own one waits, and so does the answer to the other side's.
import { expect, test } from '@jest/globals';
import { restartOver } from '../../../src/client/rtc/firefox-restart.js';
import { Negotiation } from '../../../src/client/rtc/negotiation.js';
import { NegotiationDriver } from '../../../src/client/rtc/negotiation-driver.js';
import { ManualEnvironment } from '../fixture.js';

const FIREFOX = 'v=0\r\no=mozilla...THIS_IS_SDPARTA-99.0 1 0 IN IP4 0.0.0.0\r\n';

/** Until nothing is left to do but what waits. */
const settle = (): Promise<unknown> => new Promise((resolve) => setTimeout(resolve, 0));

const LOCAL = `${FIREFOX}a=ice-ufrag:next\r\n`;
const CHROMIUM = 'v=0\r\na=ice-ufrag:next\r\n';

/** In use; null: Firefox reports none, and others none with a name. */
type Fragment = string | null;

function reportsOf(sdp: string, fragment: Fragment): Map<string, object> {
  if (sdp.includes('mozilla'))
    return new Map([['p', { type: 'candidate-pair', selected: fragment !== null, localCandidateId: 'c' }]]);
  return new Map<string, object>([
    ['p', { type: 'candidate-pair', localCandidateId: 'c' }],
    ['c', { type: 'local-candidate', ...(fragment !== null && { usernameFragment: fragment }) }],
    ['t', { type: 'transport', selectedCandidatePairId: 'p' }],
  ]);
}

function transportOf(
  sdp: string,
  fragment: Fragment = 'next',
  { connectionState = 'connected', isForTheirs = !sdp.includes('mozilla') } = {},
) {
  const environment = new ManualEnvironment();
  const connection = {
    localDescription: { type: 'answer', sdp },
    connectionState,
    fragment,
    getStats: () => Promise.resolve(reportsOf(sdp, connection.fragment)),
  };
  const over = restartOver(connection as unknown as RTCPeerConnection, environment, isForTheirs);
  let isOver = false;
  void over?.then(() => (isOver = true));
  const pass = async (ms: number): Promise<boolean> => {
    for (let at = 0; at < ms; at += 50) {
      await settle();
      environment.advance(50);
    }
    await settle();
    return isOver;
  };
  return { connection, over, pass };
}

test('there is nothing to wait for but with Firefox, and where there is no connection', () => {
  expect(transportOf(CHROMIUM, 'before', { isForTheirs: false }).over).toBeUndefined();
  expect(transportOf(LOCAL, null, { connectionState: 'failed' }).over).toBeUndefined();
});

test('a restart is over when its ICE has found a way', async () => {
  const { connection, pass } = transportOf(LOCAL, null);
  expect(await pass(2_000)).toBe(false);
  connection.fragment = 'next';
  expect(await pass(50)).toBe(true);
});

test('a restart is over in Chromium when the pair in use is of its gathering', async () => {
  const { connection, pass } = transportOf(CHROMIUM, 'before');
  expect(await pass(2_000)).toBe(false);
  connection.fragment = 'next';
  expect(await pass(50)).toBe(true);
});

test('a restart is over when it has had time enough, or when there is nothing to lose', async () => {
  expect(await transportOf(LOCAL, null).pass(5_900)).toBe(false);
  expect(await transportOf(LOCAL, null).pass(6_050)).toBe(true);
  const lost = transportOf(LOCAL, null);
  await lost.pass(50);
  lost.connection.connectionState = 'disconnected';
  expect(await lost.pass(50)).toBe(true);
});

test('a browser that does not tell of which gathering its pair is, is not waited for', async () => {
  expect(await transportOf(CHROMIUM, null).pass(0)).toBe(true);
});

test.each<[string, () => Promise<never>]>([
  ['rejects', () => Promise.reject(new Error('closed'))],
  [
    'throws',
    () => {
      throw new Error('closed');
    },
  ],
])('a connection that is closed meanwhile, whose getStats %s, is not waited for', async (_how, getStats) => {
  const { connection, pass } = transportOf(LOCAL, null);
  connection.getStats = getStats;
  expect(await pass(50)).toBe(true);
});

/** A driver of the leader on a connection whose sections all have one fragment, `mine1` until ICE is restarted. */
function negotiating() {
  const done: string[] = [];
  let number = 1;
  let isRestarting = false;
  const sdpOf = (fragment: string, sections: number): string =>
    `v=0\r\n${`a=ice-ufrag:${fragment}\r\n`.repeat(sections)}`;
  type Description = { type: string; sdp: string } | null;
  const connection = {
    signalingState: 'stable',
    sections: 1,
    pending: null as Description,
    currentLocalDescription: null as Description,
    currentRemoteDescription: null as Description,
    get localDescription(): Description {
      return connection.pending ?? connection.currentLocalDescription;
    },
    createOffer: () => Promise.resolve({}),
    setLocalDescription: (description?: { type: string }) => {
      if (description?.type === 'rollback') {
        number--;
        connection.pending = null;
        connection.signalingState = 'stable';
        return Promise.resolve();
      }
      if (isRestarting) number++;
      isRestarting = false;
      const isAnswer = connection.signalingState === 'have-remote-offer';
      const made = {
        type: isAnswer ? 'answer' : 'offer',
        sdp: sdpOf(`mine${String(number)}`, connection.sections),
      };
      if (isAnswer) connection.currentLocalDescription = made;
      else connection.pending = made;
      connection.signalingState = isAnswer ? 'stable' : 'have-local-offer';
      return Promise.resolve();
    },
    setRemoteDescription: ({ type, sdp = '' }: { type: string; sdp?: string }) => {
      done.push(`set ${type}`);
      const { currentRemoteDescription: last } = connection;
      if (type === 'offer') {
        if (last !== null && last.sdp !== sdp) number++;
        connection.signalingState = 'have-remote-offer';
      } else {
        connection.currentLocalDescription = connection.pending;
        connection.pending = null;
        connection.signalingState = 'stable';
      }
      connection.currentRemoteDescription = { type, sdp };
      return Promise.resolve();
    },
    restartIce: () => {
      isRestarting = true;
      done.push('restart');
    },
  };
  /** Of the newest offer. */
  let round = 0;
  const releases: (() => void)[] = [];
  const waits: string[] = [];
  const nothing = (): void => {};
  const driver = new NegotiationDriver(connection, new Negotiation(() => true), {
    send: (signal) => {
      if ('round' in signal) ({ round } = signal);
      done.push(signal.type);
    },
    restartOver: (isOwn) => {
      waits.push(isOwn ? 'own' : 'other');
      return new Promise((resolve) => releases.push(resolve));
    },
    firstAnswer: () => Promise.resolve(),
    onCandidates: nothing,
    onOffer: nothing,
    onRestart: () => done.push('tells'),
    onHeard: nothing,
    onError: (error) => done.push(String(error)),
    onFailed: nothing,
    onChange: nothing,
  });
  const offered = async (fragment: string): Promise<void> => {
    driver.handle({ type: 'received', signal: { type: 'offer', round: ++round, sdp: sdpOf(fragment, 1) } });
    await settle();
  };
  const offers = async (): Promise<void> => {
    driver.handle({ type: 'needed' });
    await settle();
  };
  const reply = async (type: 'answer' | 'refuse'): Promise<void> => {
    const signal = type === 'answer' ? { type, round, sdp: sdpOf('a', 1) } : { type, round };
    driver.handle({ type: 'received', signal });
    await settle();
  };
  /** What began to wait last goes on first. */
  const over = async (): Promise<void> => {
    releases.pop()?.();
    await settle();
  };
  return { connection, done, driver, offered, offers, reply, over, releases, waits };
}

async function agreed() {
  const scene = negotiating();
  await scene.offered('a');
  scene.done.length = 0;
  return scene;
}

/** An own restart is offered, and another one was asked for since. */
async function askedForAgain() {
  const scene = await agreed();
  scene.driver.restartIce();
  await scene.over();
  await scene.offers();
  scene.driver.restartIce();
  return scene;
}

test('an own restart waits for the one before', async () => {
  const { done, driver, over } = await agreed();
  driver.restartIce();
  await settle();
  expect(done).toEqual([]);
  await over();
  expect(done).toEqual(['restart']);
});

test('restarts that wait are one', async () => {
  const { done, driver, offers, over, releases } = await agreed();
  driver.restartIce();
  driver.restartIce();
  expect(releases).toHaveLength(1);
  await over();
  await offers();
  expect(done).toEqual(['restart', 'tells', 'offer']);
});

test('a restart that waits is not done where the browser was told of one that its next offer has', async () => {
  const { connection, done, driver, over, releases } = await agreed();
  driver.restartIce();
  // By the application, past the peer.
  connection.restartIce();
  driver.handle({ type: 'needed' });
  await settle();
  await over();
  expect(done).toEqual(['restart', 'offer']);
  expect(releases).toHaveLength(0);
});

test('a restart waits on where another one began while it waited, and is done after it', async () => {
  const { connection, done, over, reply } = await askedForAgain();
  await reply('answer');
  expect(connection.localDescription?.sdp).toContain('mine2');
  done.length = 0;
  await over();
  expect(done).toEqual([]);
  await over();
  expect(done).toEqual(['restart']);
});

test('a restart that was asked for while one is offered waits for the end of its round, and for its way', async () => {
  const { done, over, reply } = await askedForAgain();
  done.length = 0;
  await over();
  expect(done).toEqual([]);
  await reply('answer');
  expect(done).toEqual(['set answer']);
  await over();
  expect(done).toEqual(['set answer', 'restart']);
});

test('a restart that waits outlives an offer of a section more, and is in the next one', async () => {
  const { connection, done, driver, offers, over, reply } = await agreed();
  driver.restartIce();
  connection.sections = 2;
  await offers();
  await over();
  expect(done).toEqual(['offer']);
  await reply('answer');
  await over();
  expect(done).toEqual(['offer', 'set answer', 'restart']);
  await offers();
  expect(done.slice(-2)).toEqual(['tells', 'offer']);
});

test('a restart is not done while an offer is made that may have one', async () => {
  const { connection, done, driver, offers, over, reply } = await agreed();
  let set = (): void => {};
  const { setLocalDescription } = connection;
  connection.setLocalDescription = async (description) => {
    await new Promise<void>((resolve) => (set = resolve));
    await setLocalDescription(description);
  };
  driver.restartIce();
  await over();
  await offers();
  driver.restartIce();
  await over();
  expect(done).toEqual(['restart', 'tells']);
  set();
  await settle();
  await reply('answer');
  expect(done).toEqual(['restart', 'tells', 'offer', 'set answer']);
});

test('a restart that waits outlives a round about a section more', async () => {
  const { connection, done, driver, offers, over, reply } = await agreed();
  driver.restartIce();
  connection.sections = 2;
  await offers();
  await reply('answer');
  await over();
  expect(done).toEqual(['offer', 'set answer', 'restart']);
});

test('a restart that was asked for outlives the one before, which the other side refuses', async () => {
  const { connection, done, over, reply } = await askedForAgain();
  done.length = 0;
  await reply('refuse');
  // It is offered anew, and the browser may have forgotten what it was told before.
  expect(connection.localDescription?.sdp).toContain('mine1');
  await over();
  await reply('answer');
  expect(done).toEqual(['tells', 'offer', 'set answer']);
  await over();
  expect(done.at(-1)).toBe('restart');
});

test('an answer to a restart waits, another one does not; and that restart is the one that was wanted here', async () => {
  const { done, driver, offered, over, waits } = await agreed();
  await offered('a');
  expect(done).toEqual(['set offer', 'answer']);
  done.length = 0;
  driver.restartIce();
  await offered('b');
  expect(done).toEqual([]);
  await over();
  expect(done).toEqual(['tells', 'set offer', 'answer']);
  await over();
  expect(done).toHaveLength(3);
  expect(waits).toEqual(['own', 'other']);
});

test('a restart that is told once is told of once, though another one waits', async () => {
  const { connection, done, driver, offers, over, reply } = await askedForAgain();
  await reply('answer');
  done.length = 0;
  connection.sections = 2;
  driver.restartIce();
  await offers();
  // That offer has none: what is known of the other side's addresses is good.
  expect(done).toEqual(['offer']);
  await reply('answer');
  await over();
  // That was for the first one; now the second is waited for.
  await over();
  await offers();
  expect(done).toEqual(['offer', 'set answer', 'restart', 'tells', 'offer']);
});

test('a restart that was asked for is wanted until it is agreed on', async () => {
  const { driver, offers, over, reply } = await agreed();
  expect(driver.wantsRestart).toBe(false);
  driver.restartIce();
  await over();
  await offers();
  expect(driver.wantsRestart).toBe(true);
  await reply('answer');
  expect(driver.wantsRestart).toBe(false);
});

test('a wait that ends in the same turn as a round leaves its restart to one of them', async () => {
  const { done, driver, offers, over, releases, reply } = await agreed();
  await offers();
  driver.restartIce();
  done.length = 0;
  releases.pop()?.();
  await reply('answer');
  await over();
  expect(done).toEqual(['set answer', 'restart']);
});
