// How long operations of a peer wait.
import { expect, test } from '@jest/globals';
import { REAL_ENVIRONMENT } from '../../../src/client/environment.js';
import { Waits } from '../../../src/client/rtc/flow.js';
import { ManualEnvironment } from '../fixture.js';

function waitFor(timeoutMs: number | undefined) {
  const environment = new ManualEnvironment();
  const options = timeoutMs === undefined ? {} : { timeoutMs };
  const done = new Waits(environment).until(
    () => false,
    options,
    () => undefined,
  );
  done.catch(() => {});
  return { environment, done };
}

test.each([
  ['half a minute, unless told otherwise', undefined, 30_000],
  ['as long as it is told', 500, 500],
  ['not at all', 0, 1],
])('it waits %s', async (_name, timeoutMs, ms) => {
  const { environment, done } = waitFor(timeoutMs);
  environment.advance(ms);
  await expect(done).rejects.toMatchObject({ code: 'timeout' });
});

test.each([Infinity, 2 ** 31])(
  'it waits without a limit for %d ms, which no timer can count',
  async (timeoutMs) => {
    const waits = new Waits(REAL_ENVIRONMENT);
    let isDone = false;
    const done = waits.until(
      () => isDone,
      { timeoutMs },
      () => undefined,
    );
    setTimeout(() => {
      isDone = true;
      waits.look();
    }, 20);
    await expect(done).resolves.toBeUndefined();
  },
);

test.each([Number.NaN, -1, 'soon' as unknown as number])('%p is no time to wait', async (timeoutMs) => {
  await expect(waitFor(timeoutMs).done).rejects.toMatchObject({ code: 'bad_parameter' });
});
