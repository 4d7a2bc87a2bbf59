// For the examples that are pages with camera and microphone: their server, and the gateway that they talk to.
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { gateway } from './gateway.mjs';

const { HOST, PAGE_PORT, JWT_SECRET, TLS_CERT_FILE, TLS_KEY_FILE } = process.env;
const TYPES = { html: 'text/html', css: 'text/css', js: 'text/javascript' };

/**
 * Serves the first file as `/`, the others by their names, with the gateway's URL for `%GATEWAY%`, and what `tokenFor` makes of a request and its
 * parameters as `/token` (null: nobody).
 * Resolves with the address of the page. `PAGE_PORT`, `HOST` and `TLS_CERT_FILE` are those of the environment; call.mjs tells what they are for.
 */
export async function servePage({ port, files, tokenFor }) {
  const host = HOST ?? '127.0.0.1';
  if (['0.0.0.0', '::'].includes(host)) {
    console.error(
      `HOST=${host} is every address of this machine, and none that a browser can open: give the one that phones know it by, such as 192.168.1.5.`,
    );
    process.exit(1);
  }
  // As browsers write it: without the scheme's own port.
  const { origin } = new URL(`${TLS_CERT_FILE ? 'https' : 'http'}://${host}:${PAGE_PORT ?? port}`);
  const url = await gateway({
    ORIGINS: origin,
    HOST: host,
    // Whoever can reach it must not know its secret.
    ...(HOST && !JWT_SECRET && { JWT_SECRET: randomBytes(36).toString('base64') }),
    ...(TLS_CERT_FILE && { TLS_CERT_FILE, TLS_KEY_FILE }),
  });
  const read = (name) =>
    readFileSync(new URL(name, import.meta.url), 'utf8').replaceAll('%GATEWAY%', url.replace(/^ws/, 'http'));
  const contents = new Map(
    files.map((name, i) => [i === 0 ? '/' : `/${name}`, [TYPES[name.split('.').at(-1)], read(name)]]),
  );

  function answer(request, response) {
    // Not by the URL parser, which throws at some paths.
    const [path, query] = request.url.split('?');
    const [type, text] =
      path === '/token'
        ? ['text/plain', tokenFor(request, new URLSearchParams(query))]
        : (contents.get(path) ?? []);
    if (type === undefined) return response.writeHead(404).end();
    if (text === null) return response.writeHead(400).end();
    response.writeHead(200, { 'Content-Type': `${type}; charset=utf-8`, 'Cache-Control': 'no-store' });
    response.end(text);
  }

  const server = TLS_CERT_FILE
    ? https.createServer({ cert: readFileSync(TLS_CERT_FILE), key: readFileSync(TLS_KEY_FILE) }, answer)
    : http.createServer(answer);
  process.on('SIGINT', () => process.exit(0));
  process.on('SIGTERM', () => process.exit(0));
  await new Promise((resolve) => server.listen(Number(PAGE_PORT ?? port), host, resolve));
  return `${origin}/`;
}
