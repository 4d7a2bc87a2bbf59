// Files from page to page, directly where that goes: node examples/page-files.mjs, then open the address that it prints in two tabs.
import { createServer } from 'node:http';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { gateway, token } from './gateway.mjs';

const port = Number(process.env.PAGE_PORT ?? 8083);
const origin = `http://127.0.0.1:${port}`;
const url = await gateway({ ORIGINS: origin });
const page = readFileSync(new URL('./page-files.html', import.meta.url), 'utf8');

createServer((request, response) => {
  if (request.url !== '/') {
    response.writeHead(404).end();
    return;
  }
  // The backend knows who its user is and says so in the token; here everybody is a new guest. Who takes a stream over a data
  // channel may `send` back to who opened it.
  const name = `guest-${randomBytes(6).toString('hex')}`;
  const perm = { send: ['guest-*'], streams: ['guest-*'], list: ['guest-*'] };
  const options = JSON.stringify({ url, name, token: token(name, perm) });
  response.writeHead(200, { 'Content-Type': 'text/html; charset=utf-8', 'Cache-Control': 'no-store' });
  response.end(
    page.replace(/['"]%OPTIONS%['"]/, options).replaceAll('%SDK%', `${url.replace(/^ws/, 'http')}/client.js`),
  );
}).listen(port, '127.0.0.1', () => {
  console.log(`Open ${origin}/ in two tabs. Ctrl-C ends.`);
});
process.on('SIGINT', () => process.exit(0));
process.on('SIGTERM', () => process.exit(0));
