/** Names of properties that no application writes; the browser's bundle shortens them. */
export declare const INTERNAL_NAMES: readonly string[];
