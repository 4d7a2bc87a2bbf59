// What a specification needs of a browser, whichever it is.
import type { Page } from 'playwright-core';
import { launchChromium } from './chromium.js';
import { launchFirefox } from './firefox.js';

export interface BrowserPage {
  goto(url: string): Promise<void>;
  /** What the expression's promise becomes; it must be plain data. */
  evaluate(expression: string): Promise<unknown>;
  close(): Promise<void>;
  /** Kills its process; where other tabs would go with it, there is no such thing. */
  crash?(): Promise<void>;
}

export interface TestBrowser {
  readonly name: string;
  newPage(): Promise<BrowserPage>;
  /** Pages of one person: they share what an origin shares. */
  newTabs(count: number): Promise<BrowserPage[]>;
  /** Ends all its processes without a word. */
  kill(): Promise<void>;
  close(): Promise<void>;
}

function pageOf(page: Page): BrowserPage {
  return {
    goto: async (url) => {
      await page.goto(url);
    },
    evaluate: (expression) => page.evaluate(expression),
    close: () => page.close(),
    crash: async () => {
      const crashed = page.waitForEvent('crash');
      void page.goto('chrome://crash').catch(() => {});
      await crashed;
    },
  };
}

export const BROWSERS: Record<string, () => Promise<TestBrowser>> = {
  Chromium: async () => {
    const browser = await launchChromium([
      '--use-fake-device-for-media-stream',
      '--use-fake-ui-for-media-stream',
    ]);
    return {
      name: 'Chromium',
      // One context each: pages of their own, as of two people.
      newPage: async () => pageOf(await (await browser.newContext()).newPage()),
      newTabs: async (count) => {
        const context = await browser.newContext();
        const tabs: BrowserPage[] = [];
        for (let at = 0; at < count; at++) tabs.push(pageOf(await context.newPage()));
        return tabs;
      },
      kill: async () => {
        const gone = new Promise((resolve) => browser.once('disconnected', resolve));
        const session = await browser.newBrowserCDPSession();
        void session.send('Browser.crash').catch(() => {});
        await gone;
      },
      close: () => browser.close(),
    };
  },
  Firefox: () => launchFirefox(),
};
