/** Name or path of redis-server; REDIS_SERVER_BIN goes first; null where there is none. */
export function findRedisServer(): string | null;
/** Name or path of a Chromium or Chrome; CHROMIUM_BIN goes first; null where there is none. */
export function findChromium(): string | null;
/** Headless, and without the calls home that a closed network answers with errors. */
export const CHROMIUM_FLAGS: string[];
/** Name or path of a proxy; null where it is not there. */
export function findProxy(name: 'nginx' | 'haproxy'): string | null;
/** Packages without which there are no network namespaces to be parted; none where this user could not have any. */
export function missingNetworkPackages(): string[];
/** A Python with msgpack and websockets; PYTHON_BIN goes first; null where there is none. */
export function findPython(): string | null;
/** Name or path of a Firefox; FIREFOX_BIN goes first; null where there is none. */
export function findFirefox(): string | null;
/** Name or path of coturn's turnserver; TURNSERVER_BIN goes first; null where there is none. */
export function findTurnServer(): string | null;
