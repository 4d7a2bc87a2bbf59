// A video call for up to six: node examples/call.mjs, then open the address that it prints in two to six tabs.
//
// With a phone. Browsers give cameras to pages of the machine itself or over TLS only. An Android phone on a cable reaches this machine as itself:
//   adb reverse tcp:8081 tcp:8081 && adb reverse tcp:8082 tcp:8082
// The cable carries the page and its messages, not what is seen and heard: for that phone and machine are in one network, or have a TURN server.
// Any other takes this machine's address in your network, and a certificate for it that the phone trusts (mkcert makes one, and an authority to install there):
//   HOST=192.168.1.5 TLS_CERT_FILE=cert.pem TLS_KEY_FILE=key.pem node examples/call.mjs
//
// Between networks that let no call through ("No way to … was found") a TURN server relays it (docs/operations.md#turn):
//   TURN_URLS=turn:turn.example.org:3478 TURN_SECRET=… node examples/call.mjs
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { clientOf, gateway, token } from './gateway.mjs';

const { HOST, PAGE_PORT = '8082', JWT_SECRET, TLS_CERT_FILE, TLS_KEY_FILE } = process.env;
const host = HOST ?? '127.0.0.1';
if (['0.0.0.0', '::'].includes(host)) {
  console.error(
    `HOST=${host} is every address of this machine, and none that a browser can open: give the one that phones know it by, such as 192.168.1.5.`,
  );
  process.exit(1);
}
// As browsers write it: without the scheme's own port.
const { origin } = new URL(`${TLS_CERT_FILE ? 'https' : 'http'}://${host}:${PAGE_PORT}`);
const url = await gateway({
  ORIGINS: origin,
  HOST: host,
  // Whoever can reach it must not know its secret.
  ...(HOST && !JWT_SECRET && { JWT_SECRET: randomBytes(36).toString('base64') }),
  ...(TLS_CERT_FILE && { TLS_CERT_FILE, TLS_KEY_FILE }),
});
const read = (name) => readFileSync(new URL(name, import.meta.url), 'utf8');
const files = {
  '/': ['text/html', read('./call.html').replaceAll('%GATEWAY%', url.replace(/^ws/, 'http'))],
  '/call-page.js': ['text/javascript', read('./call-page.js')],
  '/call-tiles.js': ['text/javascript', read('./call-tiles.js')],
};

function answer(request, response) {
  const [type, text] = files[request.url] ?? (request.url === '/token' ? ['text/plain', guest(request)] : []);
  if (type === undefined) return response.writeHead(404).end();
  response.writeHead(200, { 'Content-Type': `${type}; charset=utf-8`, 'Cache-Control': 'no-store' });
  response.end(text);
}

/** The backend knows who its user is, and says so in the token. Here everybody is a new guest, who stays the same by showing the last token. */
function guest({ headers }) {
  const name =
    clientOf(headers.authorization?.replace('Bearer ', '')) ?? `guest-${randomBytes(6).toString('hex')}`;
  return token(name, {
    send: ['guest-*'],
    turn: true,
    rooms: { join: ['call'], publish: ['call'], presence: ['call'] },
  });
}

const server = TLS_CERT_FILE
  ? https.createServer({ cert: readFileSync(TLS_CERT_FILE), key: readFileSync(TLS_KEY_FILE) }, answer)
  : http.createServer(answer);
server.listen(Number(PAGE_PORT), host, () => {
  console.log(`Open ${origin}/ in two to six tabs. Ctrl-C ends.`);
});
process.on('SIGINT', () => process.exit(0));
process.on('SIGTERM', () => process.exit(0));
