// In which browsers the two ends of a call are: all pairs by npm run test:browser, Chromium with itself in CI.
export const isFull = process.env.TEST_BROWSER === 'full';

export const PAIRS: [string, string][] = isFull
  ? [
      ['Chromium', 'Chromium'],
      ['Firefox', 'Firefox'],
      // The second one leads: its id is the greater.
      ['Chromium', 'Firefox'],
      ['Firefox', 'Chromium'],
    ]
  : [['Chromium', 'Chromium']];
