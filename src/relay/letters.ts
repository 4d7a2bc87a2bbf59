// What one session is told, wherever its connection is: answers, receipts and questions for them, orders of servers, ends of pairs.
import { type CloseCode, type Code, CODES } from '../protocol/codes.js';
import type { ConfirmFrame, ReceiptFrame } from '../protocol/frame.js';
import { type ClientId, type PairId, parseAddress, type RoomName, type SessionId } from '../protocol/ids.js';
import { maySend } from '../session/permissions.js';
import type { Refusals } from '../session/refusals.js';
import { RETRY_SPREAD_MS, type Session } from '../session/session.js';
import type { SessionPlace } from '../session/store/store.js';
import type { LetterEnvelope, ResponseEnvelope } from './envelope.js';
import { type MoveSession, Moves } from './moves.js';
import type { Answer, Asked } from './pending-requests.js';
import { type Letter, Postman, type PostmanOptions } from './postman.js';

export interface LettersOptions extends Omit<PostmanOptions, 'receive'> {
  refusals: Refusals;
  /** Has a session of this worker join or leave; resolves with why not, null where it is done. */
  move: MoveSession;
}

/** Messages of one session whose delivery it may wait to hear of at once, about 100 bytes each; the oldest go first. */
const AWAITED_LIMIT = 10_000;
const NO_BODY = new Uint8Array(0);

export class Letters {
  private readonly postman: Postman;
  /** Of sessions into rooms and out of them, on behalf of servers. */
  private readonly moves: Moves;

  constructor(private readonly options: LettersOptions) {
    this.moves = new Moves(options);
    const receive = (session: Session, letter: Letter): void => {
      if (letter.kind === 'move') this.moves.make(session, letter);
      else if (letter.kind !== 'wanted') read(session, letter);
    };
    this.postman = new Postman({ ...options, receive });
  }

  /** From another worker. */
  deliver(envelope: LetterEnvelope): void {
    this.postman.deliver(envelope);
  }

  /** Whether the response is to a move that was asked for here. */
  settle(envelope: ResponseEnvelope): boolean {
    return this.moves.settle(envelope);
  }

  /** Takes an answer to the session that asked, wherever its connection is now. */
  answer({ asker, ref, take }: Asked, answer: Answer): void {
    if (take !== undefined) {
      take(answer);
      return;
    }
    const here = this.options.registry.get(asker.session);
    if ('payload' in answer) {
      const letter: Letter = { kind: 'response', ref, code: '', text: '', ...answer.payload };
      this.postman.send(asker.client, asker.session, letter, true);
    } else if (answer.byGateway && here !== undefined) {
      this.options.refusals.tell(here, ref, answer.code, answer.text);
    } else {
      // The word of the one who was asked: no refusal of ours, and not for the asker's account.
      const { code, text } = answer;
      const letter: Letter = { kind: 'response', ref, code, text, encoding: 0, data: NO_BODY };
      this.postman.send(asker.client, asker.session, letter, true);
    }
  }

  /** A session has handed a message over: its sender hears of it, if it asked to. */
  receipt(session: Session, { to, seq }: ReceiptFrame): void {
    const address = parseAddress(to);
    if (address === null || address.session === null) return;
    const letter: Letter = { kind: 'delivered', by: session.ref.client, seq };
    this.postman.send(address.client, address.session, letter, false);
  }

  /** Asks the sessions of a target whether they have handed a message over. */
  confirm(session: Session, { to, seq }: ConfirmFrame): void {
    const address = parseAddress(to);
    if (address === null || !maySend(session.identity.permissions, address.client)) return;
    awaitDelivery(session, address.client, seq);
    const { client: from, session: sender } = session.ref;
    const ask = (places: readonly SessionPlace[]): void => {
      for (const place of places) {
        if (!place.connected || (address.session !== null && place.session !== address.session)) continue;
        this.postman.send(place.client, place.session, { kind: 'asked', from, sender, seq }, false);
      }
    };
    const places = this.options.routes.peek(address.client);
    if (places !== undefined) ask(places);
    else this.options.routes.load(address.client).then(ask, () => undefined);
  }

  /** Tells a session, wherever it is, that its pair is over. */
  unpair(client: ClientId, session: SessionId, pair: PairId, code: Code): void {
    this.postman.send(client, session, { kind: 'unpaired', pair, code }, false);
  }

  /** Ends the connection of a session, wherever it is. */
  hangUp(client: ClientId, session: SessionId, code: CloseCode): void {
    this.postman.send(client, session, { kind: 'close', code }, false);
  }

  /** Has a session join or leave a room, or leave all, wherever it is; resolves with why not, null where it is done. */
  move({ client, session }: SessionPlace, room: RoomName | null, joins: boolean): Promise<Code | null> {
    return this.moves.ask(session, (handle) => {
      this.postman.send(client, session, { kind: 'move', handle, room, joins }, false);
    });
  }
}

function read(session: Session, letter: Exclude<Letter, { kind: 'move' | 'wanted' }>): void {
  switch (letter.kind) {
    case 'response': {
      const { ref, code, text, encoding, data } = letter;
      if (code !== '') session.refuse(ref, code, text);
      else session.send({ type: 'response', ref, payload: { encoding, data } });
      return;
    }
    case 'delivered':
      if (session.awaited?.delete(`${letter.by} ${String(letter.seq)}`) === true)
        session.send({ type: 'delivered', by: letter.by, seq: letter.seq });
      return;
    case 'asked':
      session.send({ type: 'asked', from: letter.from, session: letter.sender, seq: letter.seq });
      return;
    case 'unpaired':
      session.send({ type: 'unpaired', pair: letter.pair, code: letter.code });
      return;
    case 'close': {
      const { close, then } = CODES[letter.code];
      session.ended ||= then === 'stop';
      session.close(letter.code, close, then === 'stop' ? 0 : Math.round(Math.random() * RETRY_SPREAD_MS));
      return;
    }
    default:
      letter satisfies never;
  }
}

/** Remembers that the session wants to hear when the message was handed over; a receipt that nobody awaits goes nowhere. */
export function awaitDelivery(session: Session, client: ClientId, seq: number): void {
  const awaited = (session.awaited ??= new Set());
  awaited.add(`${client} ${String(seq)}`);
  const [oldest] = awaited;
  if (awaited.size > AWAITED_LIMIT && oldest !== undefined) awaited.delete(oldest);
}
