// Compressed payloads both ways, and the order that is kept while the code that compresses is loading.
import { describe, expect, test } from '@jest/globals';
import { SDP_DICTIONARY_ID, unpackEncoding } from '../../src/protocol/encoding.js';
import type { Payload } from '../../src/protocol/frame.js';
import { decodePayload, encodePayload } from '../../src/protocol/payload.js';
import { deflate, inflate } from '../../src/client/compression.js';
import { codeOf, useScriptedGateways } from './fixture.js';

const { pair } = useScriptedGateways();

const LONG = 'to be or not to be '.repeat(100);
const OFFER = {
  type: 'offer',
  sdp: 'v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n',
};

function inflated(payload: Payload): unknown {
  return decodePayload(payload, { inflate });
}

describe('sending', () => {
  test('keeps the order of messages when the first ones wait for the compression code', async () => {
    const { client, peer } = await pair();
    const sent = [LONG, 1, LONG, 2].map((data) => client.send('bob', 'n', data));
    const got: unknown[] = [];
    for (let i = 0; i < 4; i++) {
      const { ref, payload } = await peer.next('send');
      got.push(inflated(payload));
      expect(unpackEncoding(payload.encoding).deflated).toBe(typeof got.at(-1) === 'string');
      peer.ok(ref);
    }
    await Promise.all(sent);
    expect(got).toEqual([LONG, 1, LONG, 2]);
  });

  test('uses the SDP dictionary for descriptions and candidates', async () => {
    const { client, peer } = await pair();
    client.send('bob', 'offer', OFFER).catch(() => {});
    const { payload } = await peer.next('send');
    expect(unpackEncoding(payload.encoding)).toMatchObject({ deflated: true, dictionary: SDP_DICTIONARY_ID });
    expect(inflated(payload)).toEqual(OFFER);
  });

  test('leaves payloads alone below the threshold, or with Infinity', async () => {
    const { client, peer } = await pair({ compressAboveBytes: Infinity });
    for (const data of [LONG, OFFER, 'short']) {
      client.send('bob', 'n', data).catch(() => {});
      expect(decodePayload((await peer.next('send')).payload)).toEqual(data);
    }
  });

  test('holds the bytes as they were when the call was made', async () => {
    const { client, peer } = await pair();
    const bytes = new Uint8Array(5000);
    client.send('bob', 'n', bytes).catch(() => {});
    bytes.fill(1);
    expect(inflated((await peer.next('send')).payload)).toEqual(new Uint8Array(5000));
  });

  test('never writes a message that was aborted while it was compressed', async () => {
    const { client, peer } = await pair();
    const controller = new AbortController();
    const sent = codeOf(client.send('bob', 'aborted', LONG, { signal: controller.signal }));
    client.send('bob', 'next', 1).catch(() => {});
    controller.abort();
    expect(await sent).toBe('aborted');
    expect((await peer.next('send')).event).toBe('next');
  });
});

describe('receiving', () => {
  test('keeps the order of messages and presence when the first one has to be inflated', async () => {
    const { client, peer } = await pair();
    const heard: unknown[] = [];
    const room = client.room('lobby');
    const joined = room.join();
    const { ref, room: name } = await peer.next('join');
    peer.ok(ref);
    await joined;
    room.onPresence(({ count }) => heard.push(`count ${count}`));
    client.onMessage('*', (data) => heard.push(data));
    const last = new Promise<void>((resolve) => client.onMessage('last', () => resolve()));
    peer.message('n', null, deflate(encodePayload(LONG)));
    peer.message('n', 1);
    peer.send({ type: 'presence', room: name, joined: [], left: [], count: 7 });
    peer.message('last', 2);
    await last;
    expect(heard).toEqual([LONG, 1, 'count 7', 2]);
  });

  test('answers a request whose data and result are compressed', async () => {
    const { client, peer } = await pair();
    client.onRequest('upper', (data: unknown) => String(data).toUpperCase());
    const [from, session] = ['bob' as never, 'BBBBBBBBBBBBBBBBBBBBBB' as never];
    const payload = deflate(encodePayload(LONG));
    peer.send({
      type: 'requested',
      handle: 'h',
      options: {},
      from,
      session,
      event: 'upper' as never,
      payload,
    });
    expect(inflated((await peer.next('reply')).payload)).toBe(LONG.toUpperCase());

    const asked = client.request('bob', 'echo', LONG);
    const request = await peer.next('request');
    peer.send({ type: 'response', ref: request.ref, payload: request.payload });
    expect(await asked).toBe(LONG);
  });

  test('tells an error and goes on when a stream is broken', async () => {
    const { client, peer, errors } = await pair();
    const heard = new Promise((resolve) => client.onMessage('*', resolve));
    const whole = deflate(encodePayload(LONG));
    peer.message('n', null, { encoding: whole.encoding, data: whole.data.slice(0, -5) });
    peer.message('n', 1);
    expect(await heard).toBe(1);
    expect(errors).toMatchObject([{ code: 'bad_payload' }]);
  });
});
