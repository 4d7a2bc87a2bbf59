// Firefox is spared a restart of ICE while another one is under way: the own one waits, and so does the answer to the other side's.
import { expect, test } from '@jest/globals';
import { restartOver } from '../../../src/client/rtc/firefox-restart.js';
import { Negotiation } from '../../../src/client/rtc/negotiation.js';
import { NegotiationDriver } from '../../../src/client/rtc/negotiation-driver.js';
import { ManualEnvironment } from '../fixture.js';

const FIREFOX = 'v=0\r\no=mozilla...THIS_IS_SDPARTA-99.0 1 0 IN IP4 0.0.0.0\r\n';

/** Until nothing is left to do but what waits. */
const settle = (): Promise<unknown> => new Promise((resolve) => setTimeout(resolve, 0));

function transportOf(sdp: string, connectionState = 'connected') {
  const environment = new ManualEnvironment();
  const connection = {
    localDescription: { type: 'answer', sdp },
    connectionState,
    iceState: 'checking',
    getStats: () =>
      Promise.resolve(
        new Map([
          ['p', { type: 'candidate-pair', state: 'in-progress', iceState: '' }],
          ['t', { type: 'transport', iceState: connection.iceState }],
        ]),
      ),
  };
  const over = restartOver(connection as unknown as RTCPeerConnection, environment);
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

test('there is nothing to wait for but in Firefox, and where there is no connection', () => {
  expect(transportOf('v=0\r\n').over).toBeUndefined();
  expect(transportOf(FIREFOX, 'failed').over).toBeUndefined();
});

test('a restart is over when its ICE has found a way', async () => {
  const { connection, pass } = transportOf(FIREFOX);
  expect(await pass(2_000)).toBe(false);
  connection.iceState = 'connected';
  expect(await pass(50)).toBe(true);
});

test('a restart is over when it has had time enough, or when there is nothing to lose', async () => {
  expect(await transportOf(FIREFOX).pass(5_900)).toBe(false);
  expect(await transportOf(FIREFOX).pass(6_050)).toBe(true);
  const lost = transportOf(FIREFOX);
  await lost.pass(50);
  lost.connection.connectionState = 'disconnected';
  expect(await lost.pass(50)).toBe(true);
});

function negotiating() {
  const done: string[] = [];
  let number = 1;
  let isRestarting = false;
  const describe = () => ({ type: 'answer', sdp: `v=0\r\na=ice-ufrag:mine${String(number)}\r\n` });
  const theirs = (fragment: string): string => `v=0\r\na=ice-ufrag:${fragment}\r\n`;
  const connection = {
    signalingState: 'stable',
    localDescription: null as { type: string; sdp: string } | null,
    currentLocalDescription: null,
    currentRemoteDescription: null as { type: string; sdp: string } | null,
    createOffer: () => Promise.resolve({}),
    setLocalDescription: () => {
      if (isRestarting) number++;
      isRestarting = false;
      connection.localDescription = describe();
      return Promise.resolve();
    },
    setRemoteDescription: ({ sdp = '' }) => {
      done.push('set');
      const { currentRemoteDescription: last } = connection;
      if (last !== null && last.sdp !== sdp) number++;
      connection.currentRemoteDescription = { type: 'offer', sdp };
      return Promise.resolve();
    },
    restartIce: () => {
      isRestarting = true;
      done.push('restart');
    },
  };
  const releases: (() => void)[] = [];
  const nothing = (): void => {};
  const driver = new NegotiationDriver(connection, new Negotiation(() => true), {
    send: ({ type }) => done.push(type),
    restartOver: () => new Promise((resolve) => releases.push(resolve)),
    firstAnswer: () => Promise.resolve(),
    onCandidates: nothing,
    onOffer: nothing,
    onRestart: () => done.push('tells'),
    onHeard: nothing,
    onError: (error) => done.push(String(error)),
    onFailed: nothing,
    onChange: nothing,
  });
  const offered = async (round: number, fragment: string): Promise<void> => {
    driver.handle({ type: 'received', signal: { type: 'offer', round, sdp: theirs(fragment) } });
    await settle();
  };
  /** What began to wait last goes on first. */
  const over = async (): Promise<void> => {
    releases.pop()?.();
    await settle();
  };
  return { done, driver, offered, over };
}

test('an own restart waits for the one before', async () => {
  const { done, driver, offered, over } = negotiating();
  await offered(1, 'a');
  done.length = 0;
  driver.restartIce();
  await settle();
  expect(done).toEqual([]);
  await over();
  expect(done).toEqual(['restart']);
});

test('a restart that waited is not done where one that was asked for later is offered by then', async () => {
  const { done, driver, offered, over } = negotiating();
  await offered(1, 'a');
  driver.restartIce();
  driver.restartIce();
  done.length = 0;
  await over();
  driver.handle({ type: 'needed' });
  await settle();
  expect(done).toEqual(['restart', 'tells', 'offer']);
  await over();
  expect(done).toHaveLength(3);
});

test('an answer to a restart waits, another one does not; and that restart is the one that was wanted here', async () => {
  const { done, driver, offered, over } = negotiating();
  await offered(1, 'a');
  await offered(2, 'a');
  expect(done).toEqual(['set', 'answer', 'set', 'answer']);
  done.length = 0;
  driver.restartIce();
  await offered(3, 'b');
  expect(done).toEqual([]);
  await over();
  expect(done).toEqual(['tells', 'set', 'answer']);
  await over();
  expect(done).toHaveLength(3);
});
