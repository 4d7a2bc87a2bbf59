// Which test plays which entry of the catalogue of bad input, groups S, A and E: an entry without a test, or whose test is gone, fails here.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';

/** What the entry is, and where it is played: a file under test/ with words of its test's name. */
type Entry = [what: string, ...plays: `${string}: ${string}`[]];

/** Played by one body on WebSocket, event stream, poll and TCP. */
const EVERY = 'bad-input/every-transport.test.ts';
const MEANING = 'bad-input/every-meaning.test.ts';
const HTTP = 'bad-input/http-transports.test.ts';
const CLUSTER = 'cluster/http-transports.test.ts';
const TICKETS = 'worker/tickets.test.ts';
const ADMIN = 'admin/server.test.ts';
const API = 'admin/api.test.ts';

const ON_EVERY_TRANSPORT: Record<string, Entry> = {
  E1: ['no frame, or of an unknown type', `${EVERY}: E1 has an unknown type`, `${EVERY}: E1 %p is refused`],
  E2: ['before or twice hello', `${EVERY}: E2 nothing is done before hello`],
  E3: ['numbers', `${EVERY}: E3 has the number 2^53`, `${MEANING}: E3 a number that comes twice`],
  E4: ['targets', `${EVERY}: E4 goes to whom it may not reach`, `${MEANING}: E4 who may not be reached and`],
  E5: ['from by the client', `${EVERY}: E5 the sender is who the token says`],
  E6: ['signals out of turn', `${MEANING}: E6 an answer that no offer came before`],
  E7: [
    'names of rooms',
    `${EVERY}: E7 joins a room with a hash tag`,
    `${MEANING}: E7 joins a room of 200,000`,
  ],
  E8: ['too many rooms, again, not in it', `${EVERY}: E8 no more rooms`, `${MEANING}: E8 joins it again`],
  E9: ['without permission', `${EVERY}: E9 publishes where it may not`, `${EVERY}: E9 too many refusals`],
  E10: ['fan-out', `${MEANING}: E10 who owes too much`],
  E11: [
    'resume of another, wrong key',
    `${EVERY}: E11 and nobody goes on`,
    `${MEANING}: E11 a wrong resume key`,
  ],
  E13: ['times to live', `${EVERY}: E13 waits ten years`, `${MEANING}: E13 waits a negative time`],
  E14: [
    'session descriptions',
    `${EVERY}: S4 a frame beyond the limit`,
    `${MEANING}: E14 a session description`,
  ],
  E15: ['requests without an answer', `${MEANING}: E15 requests without an answer`],
  E16: ['names of the system', `${MEANING}: E16 an event with the name of a plugin`],
  tokens: ['every bad token', `${EVERY}: a token that %s is refused with 4501`],
  silence: ['slowloris: nothing is said', `${EVERY}: who says nothing is sent away with 4011`],
  credit: ['an opener that lies about credit', `${MEANING}: a stream whose opener sends beyond its credit`],
  streams: ['10,000 streams at once', `${MEANING}: 10,000 streams that are opened at once`],
};

const ON_THEIR_OWN: Record<string, Entry> = {
  S1: ['an unknown connection', `${HTTP}: a connection that is none`],
  S2: ['the session of another', `${EVERY}: E11 and nobody goes on`],
  S3: ['two polls at once', `${CLUSTER}: a poll that is asked again`],
  S4: ['a body that is too long', `${HTTP}: a POST that does not say so`, `${EVERY}: S4 a frame beyond`],
  S5: ['another type, rubbish', `${HTTP}: a POST of another type`, `${HTTP}: after garbage with 4500`],
  S6: ['a body that drips', `${HTTP}: a body that drips is refused with 408`],
  S8: ['an EventSource that must stop', `${TICKETS}: a ticket is good once`],
  S9: ['Accept without event streams', `${HTTP}: a client that takes no events`],
  S10: ['ends of lines in data', `${TICKETS}: JSON of a sender that has ends of lines`],
  S11: ['a stream that nobody reads', `${HTTP}: a stream that nobody reads`],
  S12: ['a foreign preflight', `${HTTP}: a preflight is answered for the pages that may ask`],
  S13: ['other methods', `${HTTP}: another method`, `bad-input/upgrade.test.ts: gets 405 with Allow`],
  S14: ['a poll from a cache', `${CLUSTER}: a poll that is asked again`],
  A1: [
    'no or a wrong key, guesses',
    `${ADMIN}: refuses %s with a wrong key`,
    `${API}: who tries keys is slowed`,
  ],
  A2: ['a key in the URL', `${API}: A2 a key in the URL is none`],
  A3: ['a page of another site', `${API}: A3 a page of another site cannot ask`],
  A4: ['no key configured', `${ADMIN}: has no API without a key of its own`],
  A5: [
    'bodies',
    `${API}: A5 a body that is nested`,
    `${API}: no JSON`,
    `${ADMIN}: answers who sends more than it reads`,
  ],
  A7: [
    'names as HTML',
    `${MEANING}: E7 joins the room`,
    'worker/test-door.test.ts: serves the page with a policy',
  ],
  A8: ['too many targets', `${API}: too many targets`],
  // Stored once under its first body, as docs/server-api.md says; that another body came with it is not looked at.
  A10: [
    'an idempotency key again',
    'cluster/server-api.test.ts: the same idempotency key is the same message',
  ],
  A11: ['labels of metrics', 'bad-input/metrics.test.ts: close codes, names, rooms, events'],
  'TCP lengths': [
    'truncated and oversized records',
    'worker/tcp-door.test.ts: for the length of a record alone',
  ],
  'slow WebSocket': [
    'a message that never ends',
    'bad-input/frames.test.ts: W14 ends the connection with 4013',
  ],
  'slow handshake': ['a header that never ends', 'bad-input/upgrade.test.ts: H17 is refused with 408'],
  'slow TCP': [
    'a record that drips',
    'worker/tcp-door.test.ts: is sent away with 4011 when it is silent, drips',
  ],
  'slow TLS': [
    'a handshake that is not begun',
    'worker/tcp-tls.test.ts: who connects and begins no handshake',
  ],
  plugins: ['rubbish of a plugin', "plugin/plugins.test.ts: 'rubbish'"],
};

const inTest = (path: string): string =>
  readFileSync(fileURLToPath(new URL(`../${path}`, import.meta.url)), 'utf8');

const CASES = Object.entries({ ...ON_EVERY_TRANSPORT, ...ON_THEIR_OWN }).flatMap(([id, [what, ...plays]]) =>
  plays.map((play): [string, string, string] => [id, what, play]),
);

test.each(CASES)('%s (%s) is played by %s', (_id, _what, play) => {
  const [file = '', words = ''] = play.split(/: (.*)/s);
  expect(inTest(file)).toContain(words);
});

test('what is to be the same on every transport goes over all of them', () => {
  for (const file of [EVERY, MEANING]) expect(inTest(file)).toContain('describe.each(TRANSPORTS)');
  for (const name of ['websocket', 'sse', 'poll', 'tcp'])
    expect(inTest('bad-input/raw-transports.ts')).toContain(`name: '${name}'`);
  const inMatrix = Object.values(ON_EVERY_TRANSPORT).flatMap(([, ...plays]) => plays);
  expect(inMatrix.filter((play) => !play.startsWith(EVERY) && !play.startsWith(MEANING))).toEqual([]);
});
