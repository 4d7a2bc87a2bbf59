// For the examples: a gateway to talk to, and tokens for it. Takes yours from GATEWAY and TOKEN, or starts one of its own.
import { spawnSync } from 'node:child_process';
import { connect } from 'node:net';
import { fileURLToPath } from 'node:url';
import jwt from 'jsonwebtoken';

const PORT = process.env.PORT ?? '8081';
// What calls find their way with.
const ICE = [
  'ICE_SERVERS',
  'STUN_URLS',
  'TURN_URLS',
  'TURN_SECRET',
  'TURN_SECRET_FILE',
  'TURN_REGION',
  'TURN_TTL_S',
  'TURN_CHECK_MS',
];
// Only for this machine and these examples: a real secret is made with `openssl rand -base64 48`.
const SETTINGS = {
  PORT,
  HOST: '127.0.0.1',
  ADMIN_PORT: 'off',
  LOG_LEVEL: 'warn',
  JWT_SECRET: process.env.JWT_SECRET ?? 'q7Zt2mXo9LrB4wNc8VhK1sPdY6fGj3Ea5uTi0RxQ',
  ...Object.fromEntries(ICE.map((name) => [name, process.env[name]])),
};

spawnSync(
  process.execPath,
  [fileURLToPath(new URL('../scripts/build.mjs', import.meta.url)), '--if-needed'],
  {
    stdio: 'inherit',
  },
);

function answers() {
  return new Promise((resolve) => {
    const socket = connect(Number(PORT), SETTINGS.HOST);
    socket.on('connect', () => resolve(true)).on('error', () => resolve(false));
    socket.on('connect', () => socket.destroy());
  });
}

/** URL of a running gateway; the first example that is started brings one up, and ends it when it ends. */
export async function gateway(settings = {}) {
  if (process.env.GATEWAY) return process.env.GATEWAY;
  Object.assign(SETTINGS, settings);
  if (!(await answers())) {
    // Inside this program, so that it is gone with it, also where the program is killed.
    const { createGateway } = await import('../dist/index.js');
    await createGateway(SETTINGS).listen();
  }
  return `${SETTINGS.TLS_CERT_FILE ? 'wss' : 'ws'}://${SETTINGS.HOST}:${PORT}`;
}

/** An access token as an application's backend would make it. */
export function token(client, perm = '*') {
  if (process.env.TOKEN) return process.env.TOKEN;
  return jwt.sign({ perm }, SETTINGS.JWT_SECRET, { subject: client, expiresIn: '1h' });
}

/** Whose token that is, though it may have run out; null where it is none of these. */
export function clientOf(token) {
  try {
    return jwt.verify(token, SETTINGS.JWT_SECRET, { algorithms: ['HS256'], ignoreExpiration: true }).sub;
  } catch {
    return null;
  }
}
