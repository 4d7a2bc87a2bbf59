// The page's beginning: shows a shared result, or starts to test and goes on for as long as the page is open.
import { find } from './element.js';
import { TestPage } from './page.js';
import { linkOf, type Snapshot, snapshotOf } from './share.js';
import { describe, show, showSummary } from './view.js';

/** So many changes a second are enough to watch. */
const RENDER_INTERVAL_MS = 100;
/** How often newcomers are looked for, and the clock of the next round is drawn, ms. */
const TICK_MS = 1_000;
const SUMMARY_INTERVAL_MS = 10_000;

function showShared(snapshot: Snapshot): void {
  document.body.classList.add('shared');
  const when = new Date(snapshot.at).toLocaleString([], { dateStyle: 'medium', timeStyle: 'short' });
  find('shared-note').textContent =
    `A result that somebody shared: ${describe(snapshot.about)}, ${when}. It is all in the link, which anybody can change.`;
  show({
    ...snapshot,
    past: [],
    lines: [],
    sections: snapshot.sections.map(({ peer, rows }) => ({
      peer: peer === null ? null : { ...peer, name: '', isHere: true },
      rows,
    })),
  });
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
    }, RENDER_INTERVAL_MS);
  };
  const page = new TestPage(render);
  let nextAt = Infinity;

  const showActivity = (): void => {
    const seconds = Math.max(0, Math.round((nextAt - performance.now()) / 1000));
    const clock = `${String(Math.floor(seconds / 60))}:${String(seconds % 60).padStart(2, '0')}`;
    find('again').toggleAttribute('disabled', page.isRunning);
    find('me').textContent = page.name;
    find('activity').textContent =
      page.isRunning || nextAt === Infinity ? page.activity : `next round in ${clock}`;
    find('rounds').textContent = page.rounds === 1 ? '1 round' : `${String(page.rounds)} rounds`;
  };
  const intervalMs = (): number => {
    const select = find('interval');
    return select instanceof HTMLSelectElement ? Number(select.value) * 60_000 : Infinity;
  };
  const refresh = async (): Promise<void> => {
    showSummary(await page.summary());
  };
  const run = async (onlyNew: boolean): Promise<void> => {
    if (page.isRunning) return;
    await page.round(onlyNew);
    if (!onlyNew) nextAt = performance.now() + intervalMs();
    render();
    // The gateway adds up once a second.
    setTimeout(() => void refresh(), 1_500);
  };

  find('again').addEventListener('click', () => void run(false));
  find('interval').addEventListener('change', () => {
    nextAt = performance.now() + intervalMs();
  });
  find('share').addEventListener('click', () => void share(page));
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
  page
    .open()
    .catch(() => undefined)
    .then(() => run(false))
    .then(() => {
      setInterval(() => {
        page.forget();
        if (performance.now() >= nextAt) void run(false);
        else if (page.hasNewcomers) void run(true);
        showActivity();
      }, TICK_MS);
    })
    .catch((error: unknown) => {
      console.error(error);
    });
}

async function share(page: TestPage): Promise<void> {
  const link = linkOf(page.snapshot(), location.origin + location.pathname);
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
