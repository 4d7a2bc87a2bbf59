// One place of the table: what is wrong with the network, and how that is written on the command line.

/** Whose way to the server is bad: that of one of the two, the other's being good; or that of each. */
export type Side = 'one' | 'both';
/** What the call is for. */
export type Content = 'data' | 'video';

export interface Cell {
  /** Share of packets that are lost on the way between a browser and the server, in each direction. */
  loss: number;
  /** How much later they arrive, ms, in each direction. */
  delayMs: number;
  /** Most bits per second in each direction; null: no limit. */
  kbps: number | null;
  side: Side;
  content: Content;
}

const LOSSES = [0, 0.05, 0.1, 0.2, 0.3, 0.5];
const DELAYS_MS = [0, 50, 150, 400];
const PLAIN: Cell = { loss: 0, delayMs: 0, kbps: null, side: 'one', content: 'data' };

/** Loss × delay of one side, then what else there is. */
export const ALL_CELLS: readonly Cell[] = [
  ...LOSSES.flatMap((loss) => DELAYS_MS.map((delayMs) => ({ ...PLAIN, loss, delayMs }))),
  { ...PLAIN, loss: 0.1, delayMs: 150, side: 'both' },
  { ...PLAIN, loss: 0.2, delayMs: 150, side: 'both' },
  { ...PLAIN, delayMs: 400, side: 'both' },
  { ...PLAIN, kbps: 64, delayMs: 50 },
  { ...PLAIN, kbps: 256, delayMs: 50 },
  { ...PLAIN, kbps: 256, delayMs: 50, loss: 0.05 },
  { ...PLAIN, delayMs: 50, content: 'video' },
  { ...PLAIN, delayMs: 50, loss: 0.1, content: 'video' },
  { ...PLAIN, delayMs: 50, kbps: 512, content: 'video' },
];

/** Nothing wrong, and the middle of the table. */
export const QUICK_CELLS: readonly Cell[] = [PLAIN, { ...PLAIN, loss: 0.1, delayMs: 150 }];

/** `10%x150`, and behind it, in any order: `/256k`, `/both`, `/video`. */
export function nameOf({ loss, delayMs, kbps, side, content }: Cell): string {
  const more = [kbps === null ? '' : `/${kbps}k`, side === 'both' ? '/both' : ''];
  return `${Math.round(loss * 100)}%x${delayMs}${more.join('')}${content === 'video' ? '/video' : ''}`;
}

/** @throws RangeError in one line, where a text is no cell */
export function parseCells(text: string): Cell[] {
  return text.split(',').map((one) => {
    const [head = '', ...rest] = one.trim().split('/');
    const match = /^(\d{1,3})%?x(\d{1,5})$/.exec(head);
    const cell = { ...PLAIN, loss: Number(match?.[1]) / 100, delayMs: Number(match?.[2]) };
    let isKnown = match !== null && cell.loss <= 1;
    for (const word of rest) {
      const rate = /^(\d{1,6})k$/.exec(word);
      if (rate !== null) cell.kbps = Number(rate[1]);
      else if (word === 'both') cell.side = 'both';
      else if (word === 'video') cell.content = 'video';
      else isKnown = false;
    }
    if (!isKnown || cell.kbps === 0)
      throw new RangeError(`no cell: ${one} (they look like 10%x150/256k/both/video)`);
    return cell;
  });
}
