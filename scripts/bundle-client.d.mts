// Types of the bundler for the tests that call it.
export function bundleClient(): Promise<{ files: Map<string, string>; inputs: string[] }>;
