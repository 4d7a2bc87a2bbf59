// Offers whose header extension numbers collide, as Chromium made one after Firefox had given a number to something else.
import { describe, expect, test } from '@jest/globals';
import { withoutCollisions } from '../../../src/client/rtc/header-extensions.js';
import { Negotiation, type NegotiationEvent } from '../../../src/client/rtc/negotiation.js';
import { type NegotiatedConnection, NegotiationDriver } from '../../../src/client/rtc/negotiation-driver.js';
import type { NegotiationSignal } from '../../../src/client/rtc/signal.js';

/** Sections by mid: kind, and its extensions as `8 name`. */
function sdpOf(bundle: string, sections: Record<string, [kind: string, ...extensions: string[]]>): string {
  const media = Object.entries(sections).map(
    ([mid, [kind, ...extensions]]) =>
      `m=${kind} 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:${mid}\r\n${extensions.map((one) => `a=extmap:${one}\r\n`).join('')}a=sendrecv\r\n`,
  );
  return `v=0\r\ns=-\r\na=group:BUNDLE ${bundle}\r\n${media.join('')}`;
}

/** What Chromium 150 had agreed on with Firefox 140 before it made the offer (seed 125 of the schedules). */
const AGREED = sdpOf('0 1 3', {
  0: ['application'],
  1: ['video', '1 urn:toffset', '9 urn:mid'],
  3: ['audio', '8 urn:ssrc-audio-level', '9 urn:mid'],
});
const offer = (...extensions: string[]): string =>
  sdpOf('0 1 3 5', {
    0: ['application'],
    1: ['video', '1 urn:toffset', '9 urn:mid'],
    3: ['audio', '8 urn:ssrc-audio-level', '9 urn:mid'],
    5: ['video', '1 urn:toffset', ...extensions, '9 urn:mid'],
  });

describe('an offer', () => {
  test('loses the extensions whose number means another one in a section before', () => {
    expect(withoutCollisions(offer('3 urn:video-orientation', '8 urn:color-space'), AGREED)).toBe(
      offer('3 urn:video-orientation'),
    );
    expect(withoutCollisions(offer('8/sendonly urn:color-space'), '')).toBe(offer());
  });

  test('loses those that collide with what was agreed on, though their section stands first', () => {
    const recycled = (...extensions: string[]): string =>
      sdpOf('0 1', {
        0: ['video', ...extensions, '9 urn:mid'],
        1: ['audio', '8 urn:ssrc-audio-level', '9 urn:mid'],
      });
    const agreed = sdpOf('1', {
      0: ['video', '8 urn:color-space'],
      1: ['audio', '8 urn:ssrc-audio-level', '9 urn:mid'],
    });
    expect(withoutCollisions(recycled('8 urn:color-space'), agreed)).toBe(recycled());
  });

  test('stays as it is without a collision, and where sections have transports of their own', () => {
    const clear = offer('3 urn:video-orientation', '8 urn:ssrc-audio-level');
    expect(withoutCollisions(clear, AGREED)).toBe(clear);
    const apart = offer('8 urn:color-space').replace('BUNDLE 0 1 3 5', 'BUNDLE 0 1 3');
    expect(withoutCollisions(apart, AGREED)).toBe(apart);
  });
});

describe('a connection that cannot set its own offer', () => {
  /** Refuses what collides, as Chromium does. */
  function connectionThat(offers: string): { connection: NegotiatedConnection; set: string[] } {
    const set: string[] = [];
    let local: { type: string; sdp: string } | null = null;
    const connection: NegotiatedConnection = {
      signalingState: 'stable',
      get localDescription() {
        return local;
      },
      currentLocalDescription: { type: 'answer', sdp: AGREED },
      currentRemoteDescription: null,
      createOffer: () => Promise.resolve({ sdp: offers }),
      setLocalDescription: (description) => {
        const sdp = description?.sdp ?? offers;
        if (sdp.includes('8 urn:color-space'))
          return Promise.reject(new Error('A BUNDLE group contains a codec collision'));
        set.push(sdp);
        local = { type: 'offer', sdp };
        return Promise.resolve();
      },
      setRemoteDescription: () => Promise.resolve(),
      restartIce: () => {},
    };
    return { connection, set };
  }

  async function offersOf(connection: NegotiatedConnection) {
    const sent: NegotiationSignal[] = [];
    const errors: unknown[] = [];
    const machine = new Negotiation(() => true);
    const driver = new NegotiationDriver(connection, machine, {
      send: (signal) => sent.push(signal),
      onCandidates: () => {},
      onOffer: () => {},
      onRestart: () => {},
      firstAnswer: () => Promise.resolve(),
      onHeard: () => {},
      onError: (error) => errors.push(error),
      onFailed: () => errors.push('failed'),
      onChange: () => {},
    });
    const needed: NegotiationEvent = { type: 'needed' };
    driver.handle(needed);
    for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
    return { sent, errors, counts: machine.counts };
  }

  test('sets and sends it without the extensions that collide', async () => {
    const { connection, set } = connectionThat(offer('8 urn:color-space'));
    const { sent, errors, counts } = await offersOf(connection);
    expect(set).toEqual([offer()]);
    expect(sent).toEqual([{ type: 'offer', round: 1, sdp: offer() }]);
    expect([errors, counts.failures]).toEqual([[], 0]);
  });

  test('tells the error where that is not what was wrong', async () => {
    const { connection, set } = connectionThat('v=0\r\na=8 urn:color-space\r\n');
    const { sent, errors } = await offersOf(connection);
    expect([set, sent]).toEqual([[], []]);
    expect(errors.at(-1)).toBe('failed');
    expect(errors.slice(0, -1).map(String)).toEqual(
      Array(3).fill('Error: A BUNDLE group contains a codec collision'),
    );
  });
});
