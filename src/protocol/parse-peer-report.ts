// The check of a report that a client sent.
import { isCode } from './codes.js';
import { isBoolean, isUint, pick } from './fields.js';
import {
  isCandidateType,
  isPeerProtocol,
  PEER_MOMENTS,
  PEER_RTT_LIMIT_MS,
  PEER_TIME_LIMIT_MS,
  type PeerEnd,
  type PeerReport,
} from './peer-report.js';

/** Null for what is none; fields of other names are left out. */
export function parsePeerReport(value: unknown): PeerReport | null {
  const report = pick<PeerReport>(value, {
    moment: isMoment,
    signalingMs: isUpTo(PEER_TIME_LIMIT_MS),
    iceMs: isUpTo(PEER_TIME_LIMIT_MS),
    dtlsMs: isUpTo(PEER_TIME_LIMIT_MS),
    totalMs: isUpTo(PEER_TIME_LIMIT_MS),
    local: orNone(isCandidateType),
    remote: orNone(isCandidateType),
    protocol: orNone(isPeerProtocol),
    reason: orNone(isPeerEnd),
    wasConnected: orNone(isBoolean),
    rttMs: isUpTo(PEER_RTT_LIMIT_MS),
    lossPermille: isUpTo(1_000),
  });
  return report !== null && (report.moment === 'ended') === (report.reason !== undefined) ? report : null;
}

function isPeerEnd(value: unknown): value is PeerEnd {
  return value === 'remote' || isCode(value);
}

function isMoment(value: unknown): value is PeerReport['moment'] {
  return PEER_MOMENTS.some((moment) => moment === value);
}

function isUpTo(most: number): (value: unknown) => value is number | undefined {
  return (value): value is number | undefined => value === undefined || (isUint(value) && value <= most);
}

function orNone<Value>(
  is: (value: unknown) => value is Value,
): (value: unknown) => value is Value | undefined {
  return (value): value is Value | undefined => value === undefined || is(value);
}
