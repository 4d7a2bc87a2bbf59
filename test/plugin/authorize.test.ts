// Authorization by hook against a real application: asked, remembered, signed, and no permission where it does not answer.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { Client, GatewayError } from '../../src/client/index.js';
import { signatureOf } from '../../src/plugins/signed-post.js';
import { type GatewayProcess, startGateway, tokenOf, until } from '../gateway-process.js';

const HOOK_SECRET = 'hook-secret-for-tests-0123456789abcdef';
const NOW_S = () => Date.now() / 1000;

interface Question {
  type: string;
  client: string;
  room?: string;
  event?: string;
}

let application: Server;
let asked: Question[];
let answer: (question: Question, response: ServerResponse) => void;
let gateway: GatewayProcess;
const clients: Client[] = [];

beforeEach(async () => {
  asked = [];
  answer = (_question, response) => response.end('{"allow":true}');
  application = createServer((request, response) => {
    void bodyOf(request).then((body) => {
      const { 'x-signalbox-timestamp': timestamp = '', 'x-signalbox-signature': signature } = request.headers;
      const isSigned = signature === signatureOf(HOOK_SECRET, String(timestamp), body);
      if (!isSigned || Math.abs(Number(timestamp) - NOW_S()) > 60) {
        response.writeHead(401).end();
        return;
      }
      const question = JSON.parse(body) as Question;
      asked.push(question);
      answer(question, response);
    });
  }).listen(0, '127.0.0.1');
  await once(application, 'listening');
});
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.close()));
  await gateway.stop();
  application.closeAllConnections();
  application.close();
});

/** @param timeoutMs of the hook: long, but where nobody answers, for an answer that comes late on a busy machine is asked for again */
async function start(timeoutMs = 8_000): Promise<void> {
  const { port } = application.address() as { port: number };
  const options = { url: `http://127.0.0.1:${String(port)}/hook`, secret: HOOK_SECRET, timeoutMs };
  gateway = await startGateway({
    WORKERS: '1',
    PLUGINS: JSON.stringify([{ module: 'authorize', options, timeoutMs: timeoutMs + 100 }]),
  });
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  let body = '';
  for await (const chunk of request) body += String(chunk);
  return body;
}

function make(name: string, perm: unknown = '*'): Client {
  const client = new Client(gateway.url, { token: tokenOf(name, perm) });
  clients.push(client);
  client.on('error', () => undefined);
  return client;
}

const codeOf = (call: Promise<unknown>) =>
  call.then(
    () => 'done',
    (error: unknown) => (error instanceof GatewayError ? error.code : error),
  );
const questions = (type: string) => asked.filter((question) => question.type === type);

describe('authorization by hook', () => {
  test('asks on connect, join and publish, and does what the application says', async () => {
    await start();
    answer = ({ type, client, room, event }, response) => {
      const allow = type === 'connect' ? client !== 'banned' : room !== 'closed' && event !== 'shout';
      response.end(JSON.stringify({ allow }));
    };
    const client = make('ann');
    await client.connect();
    expect(asked).toEqual([{ type: 'connect', client: 'ann', tokenId: null, address: '127.0.0.1' }]);
    expect(await codeOf(client.room('open').join())).toBe('done');
    expect(await codeOf(client.room('closed').join())).toBe('forbidden');
    expect(await codeOf(client.room('open').publish('chat', 1))).toBe('done');
    expect(await codeOf(client.room('open').publish('shout', 1))).toBe('forbidden');
    expect(await codeOf(client.room('closed').openStream('file'))).toBe('forbidden');
    expect(asked.at(-1)).toEqual({
      type: 'publish',
      room: 'closed',
      event: 'file',
      client: 'ann',
      session: client.sessionId,
    });
    await expect(make('banned').connect()).rejects.toMatchObject({ code: 'forbidden' });
  });

  test("a token without the permission is refused all the same, and permissions of the answer replace the token's", async () => {
    await start();
    const client = make('low', {});
    await client.connect();
    expect(await codeOf(client.room('open').publish('chat', 1))).toBe('forbidden');
    answer = (_question, response) => response.end('{"allow":true,"perm":{"rooms":{"join":["team"]}}}');
    const given = make('given', '*');
    await given.connect();
    expect([await codeOf(given.room('team').join()), await codeOf(given.room('open').join())]).toEqual([
      'done',
      'forbidden',
    ]);
  });

  test('remembers an answer for as long as it says, and asks the same at the same time once', async () => {
    await start();
    answer = ({ type }, response) =>
      response.end(JSON.stringify({ allow: true, ttlS: type === 'publish' ? 1 : 0 }));
    const client = make('ann');
    await client.connect();
    const room = client.room('open');
    await room.join();
    await Promise.all(Array.from({ length: 50 }, (_, i) => room.publish('chat', i)));
    expect(questions('publish')).toHaveLength(1);
    const heard: unknown[] = [];
    room.onMessage('chat', (data) => void heard.push(data));
    // And a change of mind is noticed when its time is over.
    answer = (_question, response) => response.end('{"allow":false}');
    await until(async () => (await codeOf(room.publish('chat', 'late'))) === 'forbidden');
    expect(questions('publish').length).toBeGreaterThanOrEqual(2);
  });

  test.each<[string, typeof answer]>([
    ['hangs', () => undefined],
    ['fails', (_question, response) => void response.writeHead(500).end()],
    ['redirects', (_question, response) => void response.writeHead(302, { Location: '/yes' }).end()],
    ['answers what is no JSON', (_question, response) => void response.end('yes')],
    ['answers rubbish', (_question, response) => void response.end('{"allow":"yes"}')],
    ['answers without end', (_question, response) => void response.write('{"allow":true')],
    [
      'answers far too much',
      (_question, response) => void response.end(' '.repeat(100_000) + '{"allow":true}'),
    ],
    ['cuts the connection', (_question, response) => void response.destroy()],
  ])('permits nothing where the application %s', async (_, broken) => {
    await start(300);
    const client = make('ann');
    await client.connect();
    const room = client.room('open');
    await room.join();
    answer = broken;
    const published = codeOf(room.publish('chat', 'not yet', { volatile: true }));
    await until(async () => (await gateway.metric('plugin_faults_total', { plugin: 'authorize' })) > 0);
    await published;
    expect((await room.members()).count).toBe(1);
    // What needs no answer goes on meanwhile.
    expect(await codeOf(client.send('ann', 'e', 1))).toBe('done');
    answer = (_question, response) => response.end('{"allow":true}');
    expect(await codeOf(room.publish('chat', 'now'))).toBe('done');
  });

  test('permits nothing where nobody answers at all, and all again when somebody does', async () => {
    await start();
    const client = make('ann');
    await client.connect();
    const { port } = application.address() as { port: number };
    application.closeAllConnections();
    application.close();
    await once(application, 'close');
    const states: unknown[] = [];
    const late = make('late');
    late.on('state', (_state, { code }) => void states.push(code));
    const connected = late.connect();
    await until(() => states.includes('internal_error'));
    application = createServer((_request, response) => response.end('{"allow":true}')).listen(
      port,
      '127.0.0.1',
    );
    await connected;
    expect(late.id).toBe('late');
  });
});
