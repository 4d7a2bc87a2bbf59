// What workers say to each other of calls to services: a call for one provider, and what became of it there.
import type { Code } from '../protocol/codes.js';
import type { ServiceName, SessionId, WorkerId } from '../protocol/ids.js';
import type { FieldReader, FieldWriter } from './fields.js';

/** A call for a session that provides the service. */
export interface ServeEnvelope {
  kind: 'serve';
  origin: WorkerId;
  /** `<worker>!s<number>`. */
  handle: string;
  session: SessionId;
  service: ServiceName;
  /** How long the caller waits yet. */
  timeoutMs: number;
  /** The provider may have had it on an earlier connection. */
  again: boolean;
  body: Uint8Array;
}

/**
 * `answer`: from the provider, as a `response` envelope has it. `missing`: the session is not here, or provides no more;
 * `busy`: it has as many calls as it may have. With these two nothing was executed.
 */
export type ServedOutcome = (typeof OUTCOMES)[number];
const OUTCOMES = ['answer', 'missing', 'busy'] as const;

export interface ServedEnvelope {
  kind: 'served';
  handle: string;
  session: SessionId;
  outcome: ServedOutcome;
  /** Calls that the provider has now, whoever made them. */
  load: number;
  code: Code | '';
  text: string;
  /** The encoding byte and the payload. */
  body: Uint8Array;
}

export function writeServe(writer: FieldWriter, envelope: ServeEnvelope): Buffer {
  const { origin, handle, session, service, timeoutMs, again, body } = envelope;
  return writer
    .string(origin)
    .string(handle)
    .string(session)
    .string(service)
    .number(timeoutMs)
    .byte(again ? 1 : 0)
    .end(body);
}

export function readServe(reader: FieldReader): ServeEnvelope {
  return {
    kind: 'serve',
    origin: reader.string() as WorkerId,
    handle: reader.string(),
    session: reader.string() as SessionId,
    service: reader.string() as ServiceName,
    timeoutMs: reader.number() ?? 0,
    again: reader.byte() === 1,
    body: reader.rest(),
  };
}

export function writeServed(writer: FieldWriter, envelope: ServedEnvelope): Buffer {
  const { handle, session, outcome, load, code, text, body } = envelope;
  return writer
    .string(handle)
    .string(session)
    .byte(OUTCOMES.indexOf(outcome))
    .number(load)
    .string(code)
    .string(text)
    .end(body);
}

/** Null where the outcome is none of this version. */
export function readServed(reader: FieldReader): ServedEnvelope | null {
  const handle = reader.string();
  const session = reader.string() as SessionId;
  const outcome = OUTCOMES[reader.byte()];
  if (outcome === undefined) return null;
  const load = reader.number() ?? 0;
  const code = reader.string() as Code | '';
  return { kind: 'served', handle, session, outcome, load, code, text: reader.string(), body: reader.rest() };
}
