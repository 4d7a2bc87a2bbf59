// Where this machine has the programs that the tests use and npm does not bring: redis-server, browsers, proxies, a TURN server, what parts networks.
import { spawnSync } from 'node:child_process';

const REDIS = ['redis-server'];
const CHROMIUM = [
  'chromium',
  'chromium-browser',
  'google-chrome',
  'google-chrome-stable',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
];

/** Headless, and without the calls home that a closed network answers with errors. */
export const CHROMIUM_FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

const FIREFOX = ['firefox-esr', 'firefox', '/Applications/Firefox.app/Contents/MacOS/firefox'];
const TURNSERVER = ['turnserver'];

// Found means that it answers: Ubuntu's chromium-browser without its snap is a script that only says so.
function firstThatRuns(names) {
  return names.find((name) => spawnSync(name, ['--version'], { stdio: 'ignore' }).status === 0) ?? null;
}

function named(variable) {
  const value = process.env[variable];
  return value ? [value] : [];
}

const PYTHON = ['/usr/bin/python3', 'python3'];

/** A Python that has what the example client needs; PYTHON_BIN goes first; null where there is none. */
export function findPython() {
  const has = (name) =>
    spawnSync(name, ['-c', 'import msgpack, websockets'], { stdio: 'ignore' }).status === 0;
  return [...named('PYTHON_BIN'), ...PYTHON].find(has) ?? null;
}

/** Packages without which there are no network namespaces to be parted, as the fault suite does; only root can have any. */
export function missingNetworkPackages() {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return [];
  const runs = (name) => spawnSync(name, ['-V'], { stdio: 'ignore' }).status === 0;
  return [...(runs('ip') ? [] : ['iproute2']), ...(runs('iptables') ? [] : ['iptables'])];
}

/** Name or path of a proxy that the gateway is tested behind; Debian keeps them where only root looks. Null where it is not there. */
export function findProxy(name) {
  const answers = (path) => spawnSync(path, ['-v'], { stdio: 'ignore' }).status === 0;
  return [name, `/usr/sbin/${name}`].find(answers) ?? null;
}

/** Name or path of redis-server; REDIS_SERVER_BIN goes first; null where there is none. */
export function findRedisServer() {
  return firstThatRuns([...named('REDIS_SERVER_BIN'), ...REDIS]);
}

/** Name or path of a Chromium or Chrome; CHROMIUM_BIN goes first; null where there is none. */
export function findChromium() {
  return firstThatRuns([...named('CHROMIUM_BIN'), ...CHROMIUM]);
}

/** Name or path of a Firefox; FIREFOX_BIN goes first; null where there is none. */
export function findFirefox() {
  return firstThatRuns([...named('FIREFOX_BIN'), ...FIREFOX]);
}

/** Name or path of coturn's turnserver; TURNSERVER_BIN goes first; null where there is none. */
export function findTurnServer() {
  return firstThatExists([...named('TURNSERVER_BIN'), ...TURNSERVER]);
}

/** For programs whose exit code says nothing. */
function firstThatExists(names) {
  return names.find((name) => !spawnSync(name, ['--help'], { stdio: 'ignore' }).error) ?? null;
}
