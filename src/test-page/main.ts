// The page's beginning: shows a shared result, or starts to test and goes on for as long as the page is open.
import { find } from './element.js';
import { TestPage } from './page.js';
import { fetchSummary } from './results.js';
import { linkOf, type Snapshot, snapshotOf, takeSnapshot } from './share.js';
import { describe, show, showSummary } from './view.js';

/** So many changes a second are enough to watch. */
const RENDER_INTERVAL_MS = 100;
/** How often newcomers are looked for, and the clock of the next round is drawn, ms. */
const TICK_MS = 1_000;
const SUMMARY_INTERVAL_MS = 10_000;
/** A gateway that is back is tested by all pages; by chance, not all at once. */
const RETURN_SPREAD_MS = 5_000;

function showShared(snapshot: Snapshot): void {
  document.body.classList.add('shared');
  const when = new Date(snapshot.at).toLocaleString([], { dateStyle: 'medium', timeStyle: 'short' });
  find('shared-note').textContent =
    `A result that somebody shared: ${describe(snapshot.about)}, ${when}. It is all in the link, which anybody can change.`;
  show({
    ...snapshot,
    refusal: '',
    past: [],
    lines: [],
    sections: snapshot.sections.map(({ peer, rows }) => ({
      peer: peer === null ? null : { ...peer, name: '', isHere: true },
      rows,
    })),
  });
  hasStarted();
}

function start(): void {
  let isDue = false;
  const render = (): void => {
    if (isDue) return;
    isDue = true;
    // Not by animation frames: a page in the background has none, and is still tested.
    setTimeout(() => {
      isDue = false;
      show(page.shown());
      showActivity();
      hasStarted();
    }, RENDER_INTERVAL_MS);
  };
  let nextAt = Infinity;
  const page = new TestPage(render, () => {
    nextAt = Math.min(nextAt, performance.now() + Math.random() * RETURN_SPREAD_MS);
  });

  const showActivity = (): void => {
    const seconds = Math.max(0, Math.round((nextAt - performance.now()) / 1000));
    const clock = `${String(Math.floor(seconds / 60))}:${String(seconds % 60).padStart(2, '0')}`;
    find('again').toggleAttribute('disabled', page.isRunning);
    find('me').textContent = page.name;
    const isIdle = !page.isRunning && nextAt !== Infinity;
    const idleText = page.trouble === '' ? `next round in ${clock}` : `${page.trouble}; trying on`;
    find('activity').textContent = isIdle ? idleText : page.activity;
    find('rounds').textContent = page.rounds === 1 ? '1 round' : `${String(page.rounds)} rounds`;
  };
  const intervalMs = (): number => {
    const select = find('interval');
    return select instanceof HTMLSelectElement ? Number(select.value) * 60_000 : Infinity;
  };
  const refresh = async (): Promise<void> => {
    showSummary(await fetchSummary());
  };
  const run = async (onlyNew: boolean): Promise<void> => {
    if (page.isRunning) return;
    // Before it: where the gateway comes back in the middle, the next one is soon.
    if (!onlyNew) nextAt = Infinity;
    await page.round(onlyNew).catch((error: unknown) => {
      console.error(error);
    });
    if (!onlyNew) nextAt = Math.min(nextAt, performance.now() + intervalMs());
    render();
    // The gateway adds up once a second.
    setTimeout(() => void refresh(), 1_500);
  };

  find('again').addEventListener('click', () => void run(false));
  find('interval').addEventListener('change', () => {
    nextAt = performance.now() + intervalMs();
  });
  find('share').addEventListener('click', () => void share(page));
  // Plots are drawn for the width that they have.
  addEventListener('resize', render);
  addEventListener('pagehide', () => {
    page.close();
  });
  // From the back-forward cache: it has left, so it begins anew.
  addEventListener('pageshow', ({ persisted }) => {
    if (persisted) location.reload();
  });
  render();
  void refresh();
  setInterval(() => void refresh(), SUMMARY_INTERVAL_MS);
  void run(false);
  setInterval(() => {
    page.forget();
    if (performance.now() >= nextAt) void run(false);
    else if (page.hasNewcomers) void run(true);
    showActivity();
  }, TICK_MS);
}

/** What web/test-page-old.js looks for: it tells where this script does not get so far. */
function hasStarted(): void {
  document.documentElement.dataset.started = '';
}

async function share(page: TestPage): Promise<void> {
  const link = linkOf(takeSnapshot(page.shown()), location.origin + location.pathname);
  const box = find('link');
  box.hidden = false;
  if (box instanceof HTMLInputElement) {
    box.value = link;
    box.select();
  }
  // Only secure pages have a clipboard: elsewhere this rejects.
  const copy = async (): Promise<void> => navigator.clipboard.writeText(link);
  const isCopied = await copy().then(
    () => true,
    () => false,
  );
  find('share-note').textContent = isCopied ? 'Copied.' : 'Copy it from here.';
}

const shared = snapshotOf(location.hash);
if (shared !== null) showShared(shared);
else start();
addEventListener('hashchange', () => {
  location.reload();
});
