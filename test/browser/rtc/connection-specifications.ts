// The part of the specifications about the connection itself: how it comes about, is restarted, and is given up.
import { expect } from '@jest/globals';
import type { EndOptions, Specification } from './scene.js';

export const OPEN_AND_ECHO = `
  const channel = await peer.createDataChannel('c');
  return [channel.readyState, await echo(channel, 'hello')];`;

/** Without a relay there is no way for it. */
export const WAYLESS: EndOptions = { configuration: { iceTransportPolicy: 'relay' } };
/** For the next ICE restart there are all ways. */
const OPEN_WAYS = `peer.peer.setConfiguration({ ...peer.peer.getConfiguration(), iceTransportPolicy: 'all' })`;
/** Both sides have agreed on a connection that cannot come about; Firefox says at once that it failed. */
export const CONNECT_IN_VAIN = `keep.connected = peer.connect({ timeoutMs: 1e9 }); keep.connected.catch(() => {});
  await until(() => peer.state !== 'new');`;
/** How often the events restart ICE; that happens before `dispatchEvent` returns. */
const COUNT_RESTARTS = `
  const restartsBy = (target, event) => {
    const { restartIce } = RTCPeerConnection.prototype;
    let count = 0;
    peer.peer.restartIce = () => (count++, restartIce.call(peer.peer));
    target.dispatchEvent(new Event(event));
    delete peer.peer.restartIce;
    return count;
  };`;
const UFRAG = `const ufrag = () => /ice-ufrag:(\\S+)/.exec(peer.peer.localDescription.sdp)[1];`;

/** The browser's word that the network, or the page, is there again. */
const isBack = (event: string, target: string): Specification => ({
  name: `${event} of the ${target} restarts ICE of what is not connected, and of nothing else`,
  options: WAYLESS,
  play: async ({ alice, bob }) => {
    // A tab in the background is hidden.
    await alice(
      `Object.defineProperty(document, 'visibilityState', { value: 'visible', configurable: true })`,
    );
    await Promise.all([alice(CONNECT_IN_VAIN), bob(CONNECT_IN_VAIN)]);
    await bob(OPEN_WAYS);
    // What is being agreed on may be a restart of this side's own, which is as good.
    const code = `${COUNT_RESTARTS}
      await peer.agreed(); ${OPEN_WAYS};
      const inVain = restartsBy(${target}, '${event}'); await keep.connected;
      const connected = restartsBy(${target}, '${event}');
      return [inVain, connected, peer.state];`;
    expect(await alice(code)).toEqual([1, 0, 'connected']);
  },
});

export const CONNECTION_SPECIFICATIONS: readonly Specification[] = [
  {
    name: 'connect() resolves with a peer that is connected, and the other side is not asked for anything',
    play: async ({ alice, bob }) => {
      expect(await alice(`return [(await peer.connect()) === peer, peer.state]`)).toEqual([
        true,
        'connected',
      ]);
      const heard = `await until(() => peer.state === 'connected'); return [end.channels.size, end.streams.size]`;
      expect(await bob(heard)).toEqual([0, 0]);
    },
  },
  {
    name: 'connect() rejects with timeout when nobody is at the other end',
    options: { isBobLate: true },
    play: async ({ alice }) => {
      const code = `return await peer.connect({ timeoutMs: 300 }).catch((error) => error.code)`;
      expect(await alice(code)).toBe('timeout');
    },
  },
  {
    name: 'state goes from new over connecting to connected on both sides',
    play: async ({ alice, bob }) => {
      await alice(OPEN_AND_ECHO);
      const states = `await until(() => peer.state === 'connected'); return end.states.filter((state) => state !== 'connecting')`;
      expect(await alice(states)).toEqual(['connected']);
      expect(await bob(states)).toEqual(['connected']);
    },
  },
  {
    name: 'restartIce() finds a new way while channels stay open',
    play: async ({ alice }) => {
      const code = `const channel = await peer.createDataChannel('c');
        const ufrag = () => /ice-ufrag:(\\S+)/.exec(peer.peer.localDescription.sdp)[1];
        const before = ufrag(); peer.restartIce();
        await until(() => ufrag() !== before); await peer.agreed();
        await until(() => peer.peer.iceConnectionState.match(/connected|completed/));
        return [channel.readyState, await echo(channel, 'still')];`;
      expect(await alice(code)).toEqual(['open', 'still']);
    },
  },
  {
    // The DTLS roles of the first round hold: of who answered first an offer must be answered with the other role.
    name: 'restartIce() works from either side, whichever offered first, and so do the rounds after it',
    play: async ({ alice, bob }) => {
      const restart = `const ufrag = () => /ice-ufrag:(\\S+)/.exec(peer.peer.localDescription.sdp)[1];
        const before = ufrag(); peer.restartIce(); await until(() => ufrag() !== before); await peer.agreed();`;
      await bob(`keep.channel = await peer.createDataChannel('c')`);
      for (const end of [alice, bob, alice]) {
        await end(restart);
        await end(`await peer.addStream(video()); await peer.agreed();`);
      }
      expect(await bob(`return await echo(keep.channel, 'still')`)).toBe('still');
      const faults = `return [peer.counts.failures, end.errors.filter((text) => !text.startsWith('ice'))]`;
      expect(await Promise.all([alice(faults), bob(faults)])).toEqual([
        [0, []],
        [0, []],
      ]);
    },
  },
  {
    name: 'restartIce() of both sides at the same moment leaves one connection that works',
    play: async ({ alice, bob }) => {
      await alice(`keep.channel = await peer.createDataChannel('c')`);
      const restart = `const ufrag = () => /ice-ufrag:(\\S+)/.exec(peer.peer.localDescription.sdp)[1];
        const before = ufrag(); peer.restartIce(); await until(() => ufrag() !== before && peer.peer.signalingState === 'stable');
        await peer.agreed();`;
      await Promise.all([alice(restart), bob(restart)]);
      expect(await alice(`return await echo(keep.channel, 'still')`)).toBe('still');
    },
  },
  {
    name: 'another network restarts ICE of a peer that is connected, and channels stay open',
    play: async ({ alice, bob }) => {
      await Promise.all([alice('await peer.connect()'), bob('await peer.connect()')]);
      const code = `const channel = await peer.createDataChannel('c'); await peer.agreed(); ${UFRAG}
        const before = ufrag(); navigator.connection.dispatchEvent(new Event('change'));
        await until(() => ufrag() !== before); await peer.agreed();
        await until(() => peer.peer.iceConnectionState.match(/connected|completed/));
        return [channel.readyState, await echo(channel, 'still')];`;
      expect(await alice(code)).toEqual(['open', 'still']);
    },
  },
  isBack('online', 'window'),
  isBack('visibilitychange', 'document'),
  {
    name: 'close() tells the other side before anything is connected',
    options: WAYLESS,
    play: async ({ alice, bob }) => {
      await Promise.all([alice(CONNECT_IN_VAIN), bob(CONNECT_IN_VAIN)]);
      await alice(`peer.close()`);
      expect(await bob(`await until(() => peer.state === 'closed'); return end.closes`)).toEqual(['remote']);
    },
  },
  {
    name: 'a connection that does not come about is failed, and is restarted until it does',
    options: { ...WAYLESS, haste: 10, peer: { giveUpMs: 1e9 } },
    play: async ({ alice, bob }) => {
      const told = `const told = () => end.states.filter((state) => state !== 'connecting');`;
      const failed = `${told} ${CONNECT_IN_VAIN} await until(() => peer.state === 'failed'); return told();`;
      const states = ['failed'];
      expect(await Promise.all([alice(failed), bob(failed)])).toEqual([states, states]);
      await Promise.all([alice(OPEN_WAYS), bob(OPEN_WAYS)]);
      const mended = `${told} await keep.connected; return told()`;
      const after = [...states, 'connected'];
      expect(await Promise.all([alice(mended), bob(mended)])).toEqual([after, after]);
    },
  },
  {
    name: 'a connection that does not come about is closed with timeout after giveUpMs',
    options: { ...WAYLESS, haste: 10, peer: { giveUpMs: 3_000 } },
    play: async ({ alice, bob }) => {
      const fate = `const refused = peer.connect().catch((error) => error.code);
        await until(() => end.closes.length > 0);
        return { refused: await refused, closes: end.closes, states: end.states.filter((state) => !['connecting', 'failed'].includes(state)) }`;
      const fates = await Promise.all([alice(fate), bob(fate)]);
      // Whose time is over first tells the other one.
      const own = { refused: 'timeout', closes: ['timeout'], states: ['closed'] };
      const told = { refused: 'closed', closes: ['remote'], states: ['closed'] };
      expect(fates).toContainEqual(own);
      for (const one of fates) expect([own, told]).toContainEqual(one);
    },
  },
];
