// What somebody sees who looks at a connection test page, in whatever browser it runs.
import type { GatewayProcess } from '../gateway-process.js';
import type { BrowserPage } from './test-browser.js';

/** Looks at the page's rows, wherever it runs. */
const ROWS = `[...document.querySelectorAll('#server .way[data-way], #peers .way[data-way]')].map((row) =>
  ({ way: row.dataset.way, state: [...row.classList].find((name) => name !== 'way'), text: row.innerText }))`;

export interface RowSeen {
  way: string;
  state: string;
  text: string;
}
type Evaluating = Pick<BrowserPage, 'evaluate'>;

export async function rowsOf(page: Evaluating): Promise<RowSeen[]> {
  return (await page.evaluate(ROWS)) as RowSeen[];
}

export async function textOf(page: Evaluating, selector = 'body'): Promise<string> {
  return String(await page.evaluate(`document.querySelector('${selector}').innerText`));
}

/** Every row of the ways has the state. */
export async function has(page: Evaluating, states: Record<string, string>): Promise<boolean> {
  const rows = await rowsOf(page);
  return Object.entries(states).every(([way, state]) =>
    rows.some((row) => row.way === way && row.state === state),
  );
}

export function urlOf({ port }: GatewayProcess): string {
  return `http://127.0.0.1:${String(port)}/test`;
}
