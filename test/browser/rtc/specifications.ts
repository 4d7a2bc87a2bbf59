// What a peer does, as specifications that hold for every mechanism and browser; each plays both ends.
import { expect } from '@jest/globals';
import { CONNECTION_SPECIFICATIONS, OPEN_AND_ECHO } from './connection-specifications.js';
import type { Specification } from './scene.js';

export const SPECIFICATIONS: readonly Specification[] = [
  {
    name: 'createDataChannel() resolves with a channel that is open and carries bytes both ways',
    play: async ({ alice }) => {
      expect(await alice(OPEN_AND_ECHO)).toEqual(['open', 'hello']);
    },
  },
  {
    name: 'createDataChannel() works from the side that was called',
    play: async ({ alice, bob }) => {
      await alice(OPEN_AND_ECHO);
      expect(await bob(OPEN_AND_ECHO)).toEqual(['open', 'hello']);
    },
  },
  {
    name: 'createDataChannel() of both sides at the same moment opens both channels',
    play: async ({ alice, bob }) => {
      const both = await Promise.all([alice(OPEN_AND_ECHO), bob(OPEN_AND_ECHO)]);
      expect(both).toEqual([
        ['open', 'hello'],
        ['open', 'hello'],
      ]);
    },
  },
  {
    name: 'createDataChannel() many times without waiting opens each with its own label and options',
    play: async ({ alice, bob }) => {
      const code = `const made = await Promise.all([0, 1, 2, 3, 4].map((n) =>
        peer.createDataChannel('c' + n, { ordered: n % 2 === 0, protocol: 'p' + n })));
        return made.map(({ label, ordered, protocol }) => [label, ordered, protocol]);`;
      const expected = [0, 1, 2, 3, 4].map((n) => [`c${String(n)}`, n % 2 === 0, `p${String(n)}`]);
      expect(await alice(code)).toEqual(expected);
      const heard = `await until(() => end.channels.size === 5);
        return [...end.channels.values()].map(({ label, ordered, protocol }) => [label, ordered, protocol]).sort();`;
      expect(await bob(heard)).toEqual(expected);
    },
  },
  {
    name: 'createDataChannel() rejects with timeout when nobody is at the other end',
    options: { isBobLate: true },
    play: async ({ alice }) => {
      const code = `return await peer.createDataChannel('c', {}, { timeoutMs: 300 }).catch((error) => error.code);`;
      expect(await alice(code)).toBe('timeout');
    },
  },
  {
    name: 'createDataChannel() rejects with aborted when its signal says so',
    options: { isBobLate: true },
    play: async ({ alice }) => {
      const code = `const stop = new AbortController();
        const made = peer.createDataChannel('c', {}, { signal: stop.signal }).catch((error) => error.code);
        stop.abort(); return await made;`;
      expect(await alice(code)).toBe('aborted');
    },
  },
  {
    name: 'a peer that is made later gets the offer that it missed',
    options: { isBobLate: true },
    play: async ({ alice, bob }) => {
      const opened = alice(OPEN_AND_ECHO);
      await alice(`await until(() => peer.counts.sent > 0)`);
      await bob(`await make()`);
      expect(await opened).toEqual(['open', 'hello']);
    },
  },
  {
    name: 'a peer that is made later and offers at once meets the offer that waits for it',
    options: { isBobLate: true },
    play: async ({ alice, bob }) => {
      const opened = alice(OPEN_AND_ECHO);
      await alice(`await until(() => peer.counts.sent > 0)`);
      const late = bob(
        `await make(); const second = ends.get(key).peer; ${OPEN_AND_ECHO.replace('peer.', 'second.')}`,
      );
      expect(await Promise.all([opened, late])).toEqual([
        ['open', 'hello'],
        ['open', 'hello'],
      ]);
    },
  },
  {
    name: 'addStream() resolves with the same stream when its media flows, and the other side gets it',
    play: async ({ alice, bob }) => {
      const id = await alice(`const stream = keep.stream = video();
        if ((await peer.addStream(stream)) !== stream) throw new Error('another stream');
        return stream.id;`);
      const heard = `await until(() => end.streams.size === 1); const [stream] = end.streams.values();
        const element = document.createElement('video'); element.muted = true; element.srcObject = stream;
        await element.play(); await until(() => element.videoWidth > 0);
        return [stream.id, stream.getTracks().map(({ kind }) => kind)];`;
      expect(await bob(heard)).toEqual([id, ['video']]);
    },
  },
  {
    name: 'addStream() of both sides at the same moment makes media flow both ways',
    play: async ({ alice, bob }) => {
      const add = `await peer.addStream(await audio()); return await received(peer, 'audio');`;
      expect(await Promise.all([alice(add), bob(add)])).toEqual([['audio'], ['audio']]);
    },
  },
  {
    name: 'addStream() and createDataChannel() of both sides overlap',
    play: async ({ alice, bob }) => {
      const all = `const voice = await audio(); const [channel] = await Promise.all([
          peer.createDataChannel('c'), peer.addStream(voice), peer.createDataChannel('d'), peer.addStream(video())]);
        return [channel.readyState, await received(peer, 'audio', 'video')];`;
      const expected = ['open', ['audio', 'video']];
      expect(await Promise.all([alice(all), bob(all)])).toEqual([expected, expected]);
    },
  },
  {
    name: 'addStream() during a call adds tracks later, from either side',
    play: async ({ alice, bob }) => {
      await alice(`await peer.addStream(await audio())`);
      await bob(`await peer.addStream(video())`);
      await alice(`await peer.addStream(video())`);
      expect(await alice(`return await received(peer, 'video')`)).toEqual(['video']);
      expect(await bob(`return await received(peer, 'audio', 'video')`)).toEqual(['audio', 'video']);
    },
  },
  {
    name: 'addStream() again sends the tracks that the stream has more by now',
    play: async ({ alice, bob }) => {
      await alice(`keep.stream = await audio(); await peer.addStream(keep.stream);
        keep.stream.addTrack(video().getTracks()[0]); await peer.addStream(keep.stream);`);
      const heard = `await until(() => [...end.streams.values()][0]?.getTracks().length === 2);
        return [end.streams.size, await received(peer, 'audio', 'video')];`;
      expect(await bob(heard)).toEqual([1, ['audio', 'video']]);
    },
  },
  {
    name: 'addStream() rejects with bad_parameter when the stream is empty',
    play: async ({ alice }) => {
      const code = `return await peer.addStream(new MediaStream()).catch((error) => error.code)`;
      expect(await alice(code)).toBe('bad_parameter');
    },
  },
  {
    name: 'removeStream() ends the tracks on the other side and leaves the others',
    play: async ({ alice, bob }) => {
      await alice(`keep.voice = await audio(); keep.picture = video();
        await Promise.all([peer.addStream(keep.voice), peer.addStream(keep.picture)]);
        await peer.removeStream(keep.picture);`);
      expect(await bob(`return await received(peer, 'audio')`)).toEqual(['audio']);
    },
  },
  {
    name: 'removeStream() rejects an addStream() that is under way with aborted',
    options: { isBobLate: true },
    play: async ({ alice }) => {
      const code = `const stream = video(); const added = peer.addStream(stream).catch((error) => error.code);
        await peer.removeStream(stream); return await added;`;
      expect(await alice(code)).toBe('aborted');
    },
  },
  {
    name: 'a stream that was removed can be added again',
    play: async ({ alice, bob }) => {
      await alice(
        `const stream = video(); await peer.addStream(stream); await peer.removeStream(stream); await peer.addStream(stream)`,
      );
      expect(await bob(`return await received(peer, 'video')`)).toEqual(['video']);
    },
  },
  {
    name: 'replaceTrack() changes what is sent without a negotiation',
    play: async ({ alice, bob }) => {
      await alice(`keep.stream = video('red'); await peer.addStream(keep.stream); await peer.agreed();`);
      const sees = (part: number): string =>
        `await until(() => end.streams.size === 1); await shows([...end.streams.values()][0], ${String(part)})`;
      await bob(sees(0));
      const code = `const channel = await peer.createDataChannel('c');
        const before = peer.counts.rounds; const [next] = video('blue').getTracks();
        await peer.replaceTrack(keep.stream.getTracks()[0], next);
        await echo(channel, 'what is needed is known by now'); await peer.agreed();
        return peer.counts.rounds - before;`;
      expect(await alice(code)).toBe(0);
      await bob(sees(2));
    },
  },
  {
    name: 'addStream() again after replaceTrack() sends only what the stream has more by now',
    play: async ({ alice, bob }) => {
      const code = `const stream = video(); await peer.addStream(stream); await peer.agreed();
        const [camera] = stream.getTracks(); const [screen] = video().getTracks();
        await peer.replaceTrack(camera, screen);
        stream.addTrack((await audio()).getTracks()[0]); await peer.addStream(stream); await peer.agreed();
        const sent = () => peer.peer.getSenders().map(({ track }) => track);
        const kinds = sent().map(({ kind }) => kind).sort(); const isScreen = sent().includes(screen);
        await peer.replaceTrack(screen, camera);
        return [kinds, isScreen, sent().includes(camera)];`;
      expect(await alice(code)).toEqual([['audio', 'video'], true, true]);
      const heard = `await received(peer, 'audio', 'video');
        return [...end.streams.values()].map((stream) => stream.getTracks().map(({ kind }) => kind).sort());`;
      expect(await bob(heard)).toEqual([['audio', 'video']]);
    },
  },
  {
    name: 'streams that come and go for long do not make the descriptions grow',
    play: async ({ alice, bob }) => {
      const sizes = await alice(`const sizes = [];
        await peer.addStream(await audio());
        for (let n = 0; n < 8; n++) {
          const stream = new MediaStream(video().getTracks().map((track) => track.clone()));
          await peer.addStream(stream);
          keep.last = stream.id;
          sizes.push(peer.peer.localDescription.sdp.split('m=').length);
          if (n < 7) await peer.removeStream(stream);
        }
        return sizes;`);
      // Sections of both sides, one before the first of them.
      expect(new Set(sizes as number[]).size).toBe(1);
      expect(await bob(`return await received(peer, 'audio', 'video')`)).toEqual(['audio', 'video']);
      const last = await alice(`return keep.last`);
      expect(
        await bob(`await until(() => end.streams.size === 9); return [...end.streams.keys()].at(-1)`),
      ).toBe(last);
    },
  },
  {
    name: 'replaceTrack() again before the first is done ends with what came last',
    play: async ({ alice, bob }) => {
      const code = `keep.stream = video('red'); await peer.addStream(keep.stream);
        const [camera] = keep.stream.getTracks(); const [screen] = video('blue').getTracks();
        await Promise.all([peer.replaceTrack(camera, screen), peer.replaceTrack(screen, camera)]);
        const back = peer.peer.getSenders().some(({ track }) => track === camera);
        await Promise.all([peer.replaceTrack(camera, screen), peer.replaceTrack(screen, null), peer.replaceTrack(camera, screen)]);
        return [back, peer.peer.getSenders().some(({ track }) => track === screen)];`;
      expect(await alice(code)).toEqual([true, true]);
      await bob(`await until(() => end.streams.size === 1); await shows([...end.streams.values()][0], 2)`);
    },
  },
  {
    name: 'a stream that is added, muted and followed by another one in one turn sends the other one alone',
    play: async ({ alice, bob }) => {
      const code = `await peer.connect(); await peer.agreed();
        const [muted, heard] = [await audio(), await audio()];
        const first = peer.addStream(muted).catch((error) => error.code);
        const done = peer.replaceTrack(muted.getAudioTracks()[0], null);
        await peer.addStream(heard); await Promise.all([first, done]); await peer.agreed();
        return peer.peer.getSenders().map(({ track }) => track).filter((track) => track !== null && track !== heard.getTracks()[0]).length;`;
      expect(await alice(code)).toBe(0);
      await bob(`await until(async () => {
        const sums = await Promise.all(peer.peer.getReceivers().map(async (receiver) =>
          [...(await receiver.getStats()).values()].some(({ packetsReceived }) => packetsReceived > 0)));
        return sums.filter(Boolean).length === 1; })`);
    },
  },
  {
    name: 'a channel that was given up, or could not be made, keeps nothing from connecting',
    play: async ({ alice }) => {
      const code = `const codes = await Promise.all([
          peer.createDataChannel('c', {}, { signal: AbortSignal.abort() }),
          peer.createDataChannel('d', { maxRetransmits: 1, maxPacketLifeTime: 1 }),
        ].map((made) => made.catch(({ code, name }) => code ?? name)));
        await peer.connect();
        return [...codes, peer.state];`;
      expect(await alice(code)).toEqual(['aborted', 'TypeError', 'connected']);
    },
  },
  {
    name: 'replaceTrack() rejects with bad_parameter when the track is not sent',
    play: async ({ alice }) => {
      const code = `const [a] = video().getTracks(); return await peer.replaceTrack(a, a).catch((error) => error.code)`;
      expect(await alice(code)).toBe('bad_parameter');
    },
  },
  {
    name: 'close() tells the other side, which is closed by that',
    play: async ({ alice, bob }) => {
      await alice(OPEN_AND_ECHO);
      await alice(`peer.close(); peer.close()`);
      expect(await alice(`return [peer.state, end.closes]`)).toEqual(['closed', ['closed']]);
      const heard = `await until(() => peer.state === 'closed'); return [end.closes, peer.peer.signalingState]`;
      expect(await bob(heard)).toEqual([['remote'], 'closed']);
    },
  },
  {
    name: 'close() rejects with closed what waits, and what is called after it',
    options: { isBobLate: true },
    play: async ({ alice }) => {
      const code = `const waiting = peer.createDataChannel('c').catch((error) => error.code);
        peer.close();
        const late = await Promise.all([peer.createDataChannel('d'), peer.addStream(video()), peer.removeStream(new MediaStream())]
          .map((call) => call.catch((error) => error.code)));
        return [await waiting, ...late];`;
      expect(await alice(code)).toEqual(['closed', 'closed', 'closed', 'closed']);
    },
  },
  {
    name: 'a new peer of the same two works after the first was closed',
    play: async ({ alice, bob }) => {
      await alice(OPEN_AND_ECHO);
      await alice(`peer.close()`);
      await bob(`await until(() => peer.state === 'closed'); await make()`);
      expect(
        await alice(
          `await make(); const second = ends.get(key).peer; ${OPEN_AND_ECHO.replace('peer.', 'second.')}`,
        ),
      ).toEqual(['open', 'hello']);
    },
  },
  {
    // A first data section that comes along with a restart stays dead in Firefox, half of the time: there must be none.
    name: 'createDataChannel() in a call of media only needs no negotiation',
    play: async ({ alice, bob }) => {
      for (const end of [bob, alice]) await end(`await peer.addStream(await audio()); await peer.agreed()`);
      const code = `await until(() => peer.state === 'connected'); const before = peer.counts.rounds;
        const channel = await peer.createDataChannel('c');
        return [await echo(channel, 'hello'), peer.counts.rounds - before];`;
      expect(await alice(code)).toEqual(['hello', 0]);
      expect(await bob(code)).toEqual(['hello', 0]);
    },
  },
  {
    name: 'peers with different names between the same two are independent',
    play: async ({ alice, bob }) => {
      // `make` with another name makes a second end; the first one's key stays.
      await alice(
        `await makeEnd(key + '2', peer.localId, peer.remoteId, keep.mechanism ?? end.mechanism, { name: peer.name + '2' })`,
      );
      await bob(
        `await makeEnd(key + '2', peer.localId, peer.remoteId, keep.mechanism ?? end.mechanism, { name: peer.name + '2' })`,
      );
      await alice(OPEN_AND_ECHO);
      const second = `const second = ends.get(key + '2');`;
      expect(await alice(`${second} ${OPEN_AND_ECHO.replace('peer.', 'second.peer.')}`)).toEqual([
        'open',
        'hello',
      ]);
      await alice(`peer.close()`);
      expect(
        await bob(
          `${second} await until(() => end.closes.length === 1); return [second.channels.size, second.peer.state]`,
        ),
      ).toEqual([1, 'connected']);
      await alice(`ends.get(key + '2').peer.close()`);
    },
  },
  {
    name: 'no handler property of the connection or of a channel is taken',
    play: async ({ alice }) => {
      const code = `const channel = await peer.createDataChannel('c');
        const taken = (object) => { const names = []; for (const name in object) if (name.startsWith('on') && object[name] !== null && typeof object[name] !== 'undefined' && name !== 'on') names.push(name); return names; };
        return [taken(peer.peer), taken(channel)];`;
      expect(await alice(code)).toEqual([[], []]);
    },
  },
  {
    name: 'errors of servers that cannot be reached are collected, and the connection succeeds without them',
    options: {
      configuration: {
        iceServers: [{ urls: 'stun:nowhere.invalid:3478' }],
      },
    },
    play: async ({ alice }) => {
      expect(await alice(OPEN_AND_ECHO)).toEqual(['open', 'hello']);
      const code = `await until(() => peer.errors.length > 0); const [error] = peer.errors;
        return [error.kind, error.code, error.url.startsWith('stun:nowhere.invalid'), end.errors.length > 0];`;
      expect(await alice(code)).toEqual(['ice', 701, true, true]);
    },
  },
  {
    name: 'a signal that is none, and a description that is none, do no harm',
    play: async ({ alice }) => {
      expect(
        await alice(`const errors = [];
          const { RTCSignalingPeer } = await import('/rtc.js');
          let receiver; const sent = [];
          const mechanism = { connect: (info, to) => { receiver = to; return { isReliable: true, ready: Promise.resolve(), send: (signal) => sent.push(signal), close() {} }; } };
          const other = new RTCSignalingPeer('a', 'b', {}, { signaling: mechanism });
          receiver.onSignal({ type: 'offer', round: 1, sdp: 'nonsense', route: ['x', null, 1, 0] }, 'b');
          await until(() => sent.some(({ type }) => type === 'refuse'));
          const kinds = other.errors.map(({ kind }) => kind);
          other.close();
          return [kinds, other.peer.signalingState];`),
      ).toEqual([['negotiation'], 'closed']);
    },
  },
  {
    name: 'agreed() resolves when both sides agree on all that was asked for',
    play: async ({ alice, bob }) => {
      const code = `void peer.addStream(video()).catch(() => {}); void peer.createDataChannel('c').catch(() => {});
        await until(() => peer.counts.rounds > 0); await peer.agreed();
        const own = peer.peer.getTransceivers().filter(({ sender }) => sender.track !== null);
        return [peer.peer.signalingState, own.map(({ currentDirection }) => /send/.test(currentDirection))];`;
      expect(await alice(code)).toEqual(['stable', [true]]);
      expect(await bob(`await peer.agreed(); return peer.peer.signalingState`)).toBe('stable');
    },
  },
  ...CONNECTION_SPECIFICATIONS,
];
