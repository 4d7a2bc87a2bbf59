// Types of the bundler for the tests that call it.
export function bundleClient(): Promise<{ files: Map<string, string>; inputs: string[] }>;

/** The same files, for bundlers. */
export function forBundlers(files: Map<string, string>): Map<string, string>;
