// What a specification needs of a browser, whichever it is.
import { launchChromium } from './chromium.js';
import { launchFirefox } from './firefox.js';

export interface BrowserPage {
  goto(url: string): Promise<void>;
  /** What the expression's promise becomes; it must be plain data. */
  evaluate(expression: string): Promise<unknown>;
  close(): Promise<void>;
}

export interface TestBrowser {
  readonly name: string;
  newPage(): Promise<BrowserPage>;
  close(): Promise<void>;
}

export const BROWSERS: Record<string, () => Promise<TestBrowser>> = {
  Chromium: async () => {
    const browser = await launchChromium([
      '--use-fake-device-for-media-stream',
      '--use-fake-ui-for-media-stream',
    ]);
    return {
      name: 'Chromium',
      newPage: async () => {
        // One context each: pages of their own, as of two people.
        const page = await (await browser.newContext()).newPage();
        return {
          goto: async (url) => {
            await page.goto(url);
          },
          evaluate: (expression) => page.evaluate(expression),
          close: () => page.close(),
        };
      },
      close: () => browser.close(),
    };
  },
  Firefox: () => launchFirefox(),
};
