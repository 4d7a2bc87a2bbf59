// Every transport with one face for hostile clients: texts up as they are, frames down, and the number of the end.
import { createConnection } from 'node:net';
import { joinRecords, RecordReader } from '../../src/protocol/records.js';
import { until } from '../gateway-process.js';
import { askHttp, RawStream } from './raw-http.js';
import { OPCODE, RawWebSocket, wsFrame } from './raw-websocket.js';

export interface Raw {
  /** Frames of the gateway so far. */
  frames(): unknown[][];
  /** Texts where frames belong, in as few pieces as the transport can. */
  say(...texts: string[]): Promise<unknown>;
  /** The number that the connection ends with. */
  readonly ended: Promise<number>;
  destroy(): void;
}

export interface RawTransport {
  readonly name: string;
  /** With the token as this transport carries one outside of hello. */
  open(ports: { http: number; tcp: number }, token?: string): Promise<Raw>;
}

const bearer = (token: string | undefined): Record<string, string> =>
  token === undefined ? {} : { Authorization: `Bearer ${token}` };

async function openWebSocket({ http }: { http: number }, token?: string): Promise<Raw> {
  const socket = await RawWebSocket.open(http, bearer(token));
  return {
    frames: () => socket.messages.map((message) => JSON.parse(message.toString()) as unknown[]),
    say: async (...texts) => socket.write(...texts.map((text) => wsFrame(OPCODE.text, text))),
    ended: socket.ended.then(({ code }) => code),
    destroy: () => void socket.destroy(),
  };
}

/** Of one POST: short frames are then far from any limit on its body. */
const POST_FRAMES = 200;

/** POSTs in their order; a refusal of the whole POST is a refusal of the frame. */
function poster(
  http: number,
  id: string,
  onEnd: (close: number) => void,
): (...texts: string[]) => Promise<unknown> {
  let number = 0;
  let isOver = false;
  let last: Promise<unknown> = Promise.resolve();
  const end = (close: number): void => {
    isOver = true;
    onEnd(close);
  };
  const postOne = (text: string): void => {
    const mine = String(++number);
    last = last.then(async () => {
      if (isOver) return;
      const answer = await askHttp(http, {
        method: 'POST',
        path: '/v1/frames',
        headers: {
          'Content-Type': 'application/x-ndjson',
          'Signalbox-Connection': id,
          'Signalbox-Number': mine,
        },
        body: text,
      });
      if (answer.status === 413) end(1009);
      if (answer.status === 410) end((JSON.parse(answer.body) as { close: number }).close);
    });
  };
  return (...texts) => {
    for (let at = 0; at < texts.length; at += POST_FRAMES)
      postOne(texts.slice(at, at + POST_FRAMES).join('\n'));
    return last;
  };
}

async function openEvents({ http }: { http: number }, token?: string): Promise<Raw> {
  const stream = await RawStream.open(http, bearer(token));
  const id = await stream.id();
  let over: (close: number) => void = () => undefined;
  const refused = new Promise<number>((resolve) => (over = resolve));
  const ended = Promise.race([stream.close(), refused]);
  // Who waits for the end is told that it never came; a play that destroys its stream does not wait.
  ended.catch(() => undefined);
  return {
    frames: () => stream.frames,
    say: poster(http, id, over),
    ended,
    destroy: () => stream.destroy(),
  };
}

async function openPolls({ http }: { http: number }, token?: string): Promise<Raw> {
  const begun = await askHttp(http, { path: '/v1/poll', headers: bearer(token) });
  const { connection: id } = JSON.parse(begun.body) as { connection: string };
  const frames: unknown[][] = [];
  let isOver = false;
  let over: (close: number) => void = () => undefined;
  const ended = new Promise<number>((resolve) => (over = resolve));
  const poll = async (): Promise<void> => {
    for (let number = 1; !isOver; number++) {
      const answer = await askHttp(http, {
        path: '/v1/poll',
        headers: { 'Signalbox-Connection': id, 'Signalbox-Number': String(number) },
      });
      for (const line of answer.body.split('\n'))
        if (answer.status === 200 && line !== '') frames.push(JSON.parse(line) as unknown[]);
      const close = answer.headers['signalbox-close'];
      if (close !== undefined) over(Number(close));
      if (close !== undefined || answer.status !== 200) return;
    }
  };
  // A gateway that is gone ends it.
  poll().catch(() => undefined);
  return { frames: () => frames, say: poster(http, id, over), ended, destroy: () => void (isOver = true) };
}

async function openTcp({ tcp }: { tcp: number }, token?: string): Promise<Raw> {
  const socket = createConnection(tcp, '127.0.0.1');
  const frames: unknown[][] = [];
  let number = 1006;
  const reader = new RecordReader(1e7, {
    record: (bytes) => frames.push(JSON.parse(Buffer.from(bytes).toString()) as unknown[]),
    close: (close) => (number = close),
    tooBig: () => undefined,
  });
  socket.on('data', (chunk: Buffer) => reader.push(chunk)).on('error', () => undefined);
  const write = async (...texts: string[]): Promise<unknown> =>
    socket.write(joinRecords(texts.map((text) => Buffer.from(text))));
  if (token !== undefined) await write(`bearer ${token}`);
  return {
    frames: () => frames,
    say: write,
    ended: new Promise((resolve) => socket.on('close', () => resolve(number))),
    destroy: () => socket.destroy(),
  };
}

/** All that carry frames both ways. A ticket's stream carries none up: its suite is test/worker/tickets.test.ts. */
export const TRANSPORTS: RawTransport[] = [
  { name: 'websocket', open: openWebSocket },
  { name: 'sse', open: openEvents },
  { name: 'poll', open: openPolls },
  { name: 'tcp', open: openTcp },
];

/** The answer to a call: ok, error or response with this ref. */
export function answerTo(raw: Raw, ref: number): Promise<unknown[]> {
  return until(() => raw.frames().find(([type, to]) => [5, 6, 23].includes(Number(type)) && to === ref));
}
