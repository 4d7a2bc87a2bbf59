// Real signaling traffic: what Chromium said when calls were set up (test/protocol/samples).
import { readFileSync } from 'node:fs';

const read = (name) =>
  JSON.parse(readFileSync(new URL(`../test/protocol/samples/${name}.json`, import.meta.url), 'utf8'));

/** One call as it was captured: an offer of audio, video and data with its first ten candidates, six host and four relay. */
export function callSetup() {
  const { offer, candidates } = read('chromium-call');
  return [offer, ...candidates];
}

/** Offers and answers, with media and of data alone. */
export const descriptions = () => [
  callSetup()[0],
  ...['call-offer', 'call-answer', 'data-offer', 'data-answer'].map(read),
];

/** Host, server reflexive, relay and TCP candidates. */
export const candidates = () => [...callSetup().slice(1), ...read('candidates')];
