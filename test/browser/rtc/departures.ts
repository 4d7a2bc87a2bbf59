// How the other side of a call goes away, and what this side is told.
import { expect } from '@jest/globals';
import { CONNECT_IN_VAIN, OPEN_AND_ECHO, WAYLESS } from './connection-specifications.js';
import type { EndOptions, Stage } from './scene.js';

export interface Departure {
  name: string;
  /** Whether it can happen to bob, by the browsers of alice and bob. */
  isPossible(pair: readonly [string, string]): boolean;
  /** There was no connection yet. */
  isVain?: true;
  /** Bob is not there any more. */
  leave(stage: Stage): Promise<void>;
  /** All that alice's end is told from then on; what was in vain may also fail, in Firefox at once. */
  told: { states: string[]; closes: string[] };
}

const SAID = { states: ['closed'], closes: ['remote'] };
const SILENT = { states: ['disconnected', 'failed', 'closed'], closes: ['timeout'] };
/** Silence is noticed by the browser in its own time; what follows is the peer's: failed after 15 s, closed after these. */
const OPTIONS: EndOptions = { haste: 10, peer: { giveUpMs: 30_000 } };
/** What never connects fails and is given up by itself, too: long after this. */
const VAIN_OPTIONS: EndOptions = { ...WAYLESS, peer: { giveUpMs: 1e9 } };

export const DEPARTURES: readonly Departure[] = [
  {
    name: 'a page that is closed says so',
    isPossible: () => true,
    leave: ({ pages }) => pages[1].close(),
    told: SAID,
  },
  {
    name: 'a page that is closed before it was connected says so',
    isPossible: () => true,
    isVain: true,
    leave: ({ pages }) => pages[1].close(),
    told: SAID,
  },
  {
    name: 'a page that goes elsewhere says so',
    // Firefox closes its way to the gateway before it tells the page.
    isPossible: ([, bob]) => bob !== 'Firefox',
    leave: ({ pages }) => pages[1].goto('about:blank'),
    told: SAID,
  },
  {
    name: 'a page whose process crashes is disconnected, then failed, then closed with timeout',
    // Other tabs of a Firefox would go with it.
    isPossible: ([, bob]) => bob === 'Chromium',
    leave: async ({ pages }) => pages[1].crash?.(),
    told: SILENT,
  },
  {
    name: 'a browser that is killed is disconnected, then failed, then closed with timeout',
    isPossible: ([alice, bob]) => alice !== bob,
    leave: (stage) => stage.killBob(),
    told: SILENT,
  },
];

/** Bob is another one afterwards. */
export async function playDeparture(stage: Stage, { leave, told, isVain }: Departure): Promise<void> {
  const options = isVain === true ? VAIN_OPTIONS : OPTIONS;
  const { alice, bob } = await stage.scene({ name: 'gateway', loopback: null }, options);
  if (isVain === true) await Promise.all([alice(CONNECT_IN_VAIN), bob(CONNECT_IN_VAIN)]);
  else await alice(OPEN_AND_ECHO);
  await alice('end.states.length = 0');
  await leave(stage);
  try {
    const heard = (await alice(
      `await until(() => end.closes.length > 0, 60_000); return { states: end.states, closes: end.closes }`,
    )) as Departure['told'];
    if (isVain === true) heard.states = heard.states.filter((state) => state !== 'failed');
    expect(heard).toEqual(told);
  } finally {
    await alice('peer.close()');
    await stage.renew('bob');
  }
}
