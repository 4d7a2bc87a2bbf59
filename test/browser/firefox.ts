// Debian's Firefox for tests, headless, over WebDriver BiDi: Playwright would want a build of its own.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { launch } from 'puppeteer-core';
import { findFirefox } from '../../scripts/test-tools.mjs';
import type { BrowserPage, TestBrowser } from './test-browser.js';

const PREFERENCES = {
  // Host candidates as addresses, of the loopback interface too: nobody answers mDNS names in a container.
  'media.peerconnection.ice.obfuscate_host_addresses': false,
  'media.peerconnection.ice.loopback': true,
  'media.navigator.streams.fake': true,
  'media.navigator.permission.disabled': true,
  // Two pages are two tabs, of which one is in the background: its timers would count in whole seconds.
  'dom.min_background_timeout_value': 4,
  'dom.min_background_timeout_value_without_budget_throttling': 4,
  'dom.timeout.enable_budget_timer_throttling': false,
  // Calls home that a closed network answers with errors.
  'app.update.enabled': false,
  'media.gmp-manager.updateEnabled': false,
  'network.captive-portal-service.enabled': false,
  'network.connectivity-service.enabled': false,
  'services.settings.server': 'data:,',
};

const RUN_FIREFOX = fileURLToPath(new URL('./run-firefox.sh', import.meta.url));
/** How long Firefox may take to close by itself, ms. */
const CLOSE_LIMIT_MS = 5_000;

/** @param preferences besides those of all tests */
export async function launchFirefox(preferences: Record<string, unknown> = {}): Promise<TestBrowser> {
  const name = findFirefox();
  if (name === null) throw new Error('no Firefox: install firefox-esr, or set FIREFOX_BIN');
  const path = spawnSync('sh', ['-c', 'command -v "$0"', name], { encoding: 'utf8' }).stdout.trim();
  const browser = await launch({
    browser: 'firefox',
    executablePath: RUN_FIREFOX,
    env: { ...process.env, TEST_FIREFOX: path },
    headless: true,
    extraPrefsFirefox: { ...PREFERENCES, ...preferences },
    protocolTimeout: 120_000,
  });
  const newPage = async (): Promise<BrowserPage> => {
    const page = await browser.newPage();
    return {
      goto: async (url) => {
        await page.goto(url);
      },
      evaluate: (expression) => page.evaluate(expression),
      close: () => page.close(),
    };
  };
  const kill = (): void => {
    const pid = browser.process()?.pid;
    if (pid !== undefined) process.kill(-pid, 'SIGKILL');
  };
  return {
    name: 'Firefox',
    newPage,
    newTabs: async (count) => {
      const tabs: BrowserPage[] = [];
      for (let at = 0; at < count; at++) tabs.push(await newPage());
      return tabs;
    },
    kill: async () => {
      const gone = new Promise((resolve) => browser.once('disconnected', resolve));
      kill();
      await gone;
    },
    close: async () => {
      // One that is stuck does not answer; its group ends nevertheless.
      const stuck = setTimeout(kill, CLOSE_LIMIT_MS);
      await browser.close();
      clearTimeout(stuck);
    },
  };
}
