// Streams of a client that was closed.
import { expect, test } from '@jest/globals';
import { ManualEnvironment, useScriptedGateways } from '../fixture.js';

const { pair } = useScriptedGateways();
const CLOSED = { code: 'closed' };

test('a stream that is opened after close() is refused at once', async () => {
  // Its clock stands still: nothing of this is a time that runs out.
  const { client } = await pair({}, new ManualEnvironment());
  void client.close();
  await expect(client.openStream('bob', 'file')).rejects.toMatchObject(CLOSED);
  await expect(client.openBroadcast('cast')).rejects.toMatchObject(CLOSED);
});

test.each([true, false])('so is one that waits at close() (its code was there: %s)', async (isLoaded) => {
  const { client, peer } = await pair({}, new ManualEnvironment());
  const opening = client.openStream('bob', 'file');
  if (isLoaded) await peer.next('openStream');
  void client.close();
  await expect(opening).rejects.toMatchObject(CLOSED);
});
