// Firefox without the SDK: a video that is lost for good because its first packets come before the answer that tells of it. Schedules may
// meet it, and say so. Played by npm run test:browser only. When this test fails, Firefox has mended it: take `receivedButLost` and `losesEarlyVideo` out of page.js and schedules.ts.
import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { launchFirefox } from '../firefox.js';
import { Site } from '../site.js';

const isFull = process.env.TEST_BROWSER === 'full';
const PAGE = readFileSync(new URL('./page.js', import.meta.url), 'utf8');

/**
 * Bob's first video is agreed on and sends nothing, as that of a camera which is turned off. Then alice offers another one, on which bob
 * sends as well. Packets that alice has of it, when bob's answer took so long, ms.
 */
const play = (answerMs: number): string => `(async () => {
  ${PAGE}
  const alice = new RTCPeerConnection();
  const bob = new RTCPeerConnection();
  for (const [one, other] of [[alice, bob], [bob, alice]])
    one.onicecandidate = ({ candidate }) => other.addIceCandidate(candidate).catch(() => {});
  const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  const round = async (from, to, prepare = () => {}, ms = 0) => {
    await from.setLocalDescription();
    await to.setRemoteDescription(from.localDescription);
    await prepare();
    await to.setLocalDescription();
    await wait(ms);
    await from.setRemoteDescription(to.localDescription);
  };
  bob.createDataChannel('that it connects at once');
  await bob.addTrack(video().getTracks()[0], new MediaStream()).replaceTrack(null);
  await round(bob, alice);
  await until(() => alice.connectionState === 'connected' && bob.connectionState === 'connected');
  alice.addTransceiver(video().getTracks()[0]);
  await round(alice, bob, async () => {
    const theirs = bob.getTransceivers().at(-1);
    theirs.direction = 'sendrecv';
    await theirs.sender.replaceTrack(video().getTracks()[0]);
  }, ${String(answerMs)});
  const sender = bob.getTransceivers().at(-1).sender;
  const sent = async () => [...(await sender.getStats()).values()].find(({ type }) => type === 'outbound-rtp')?.packetsSent ?? 0;
  await until(async () => (await sent()) > 20);
  const got = await packetsOf(alice.getTransceivers().at(-1).receiver);
  alice.close();
  bob.close();
  return got;
})()`;

(isFull ? describe : describe.skip)('Firefox by itself', () => {
  test('loses a video whose packets come before their answer, where an earlier one is quiet', async () => {
    const site = await Site.open();
    const firefox = await launchFirefox();
    try {
      const page = await firefox.newPage();
      await page.goto(site.origin);
      expect(await page.evaluate(play(0))).toBeGreaterThan(10);
      expect(await page.evaluate(play(300))).toBe(0);
    } finally {
      await firefox.close();
      await site.close();
    }
  }, 60_000);
});
