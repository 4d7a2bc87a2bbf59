// ICE restarts of calls with Firefox: what keeps another browser from staying with addresses where Firefox only answers, and Firefox from ending the call.

import type { Environment } from '../environment.js';
import { fragmentsOf } from './ice-fragments.js';

/** By the origin of a description as its browser made it; Chromium keeps no such line of the other side's. */
export function isFirefox(description: { sdp: string } | null): boolean {
  return /^o=mozilla/m.test(description?.sdp ?? '');
}

/** As much of an `RTCPeerConnection` as is needed here. */
interface ForgettingConnection {
  readonly currentRemoteDescription: { readonly sdp: string } | null;
  addIceCandidate(candidate: RTCIceCandidateInit): Promise<void>;
}

/** How often Firefox is asked whether it has found a way, and how long that may take: as long as recovery gives a restart, ms. */
const LOOK_MS = 50;
const RESTART_LIMIT_MS = 6_000;

/**
 * Resolves when the restart before is over. Where Firefox, here or there, drops one that is under way for another one, it may take that
 * for the failure of ICE, and tells DTLS so, which never works again though ICE does. Nobody waits where there is no connection, or it is lost.
 *
 * @param isForTheirs the other side is Firefox, and this one, which is about to restart, should wait for it
 */
export function restartOver(
  connection: RTCPeerConnection,
  environment: Environment,
  isForTheirs: boolean,
): Promise<void> | undefined {
  const { connectionState, localDescription } = connection;
  return connectionState === 'connected' && (isForTheirs || isFirefox(localDescription))
    ? wayFound(connection, environment)
    : undefined;
}

async function wayFound(connection: RTCPeerConnection, environment: Environment): Promise<void> {
  const until = environment.now() + RESTART_LIMIT_MS;
  while (connection.connectionState === 'connected' && environment.now() < until) {
    if (!(await isUnderWay(connection))) return;
    await new Promise<void>((resolve) => environment.after(LOOK_MS, resolve));
  }
}

/** As much of a report as is needed here. */
interface Report {
  readonly type: string;
  /** Of a transport. */
  readonly selectedCandidatePairId?: string;
  /** Of a pair, in Firefox only. */
  readonly selected?: boolean;
  /** Of a pair. */
  readonly localCandidateId?: string;
  /** Of a candidate. */
  readonly usernameFragment?: string;
}

/** The states of ICE are of the pair of before, as long as that works. Until there is another one, Chromium reports that pair, Firefox none. */
async function isUnderWay(connection: RTCPeerConnection): Promise<boolean> {
  const reports = await reportsOf(connection);
  const all = [...reports.values()];
  const { localDescription } = connection;
  if (isFirefox(localDescription)) return reports.size > 0 && !all.some(({ selected }) => selected);
  const fragments = fragmentsOf(localDescription).split(' ');
  const get = (id = ''): Report | undefined => reports.get(id);
  return all.some(({ selectedCandidatePairId }) => {
    const { usernameFragment } = get(get(selectedCandidatePairId)?.localCandidateId) ?? {};
    return usernameFragment !== undefined && !fragments.includes(usernameFragment);
  });
}

/** None of a connection that is closed meanwhile. */
async function reportsOf(connection: RTCPeerConnection): Promise<ReadonlyMap<string, Report>> {
  try {
    return await connection.getStats();
  } catch {
    return new Map();
  }
}

/** Of the user fragment that comes next, whichever that is. It is one that nobody sends a packet to (RFC 6544, section 4.5: port 9, active). */
const FRAGMENT = 'next';
const PLACEHOLDER = `candidate:0 1 tcp 1 127.0.0.1 9 typ host tcptype active ufrag ${FRAGMENT}`;

/**
 * Makes Chromium forget the candidates that the other side had so far: it does so with the first one of a later gathering, and takes
 * a fragment that it does not know for such a one (libwebrtc, `P2PTransportChannel::RememberRemoteCandidate`). Its new addresses would
 * be tried with all that it remembers. The pair in use stays until a new one is found. Who does not do so refuses the placeholder.
 */
export function forgetCandidates(connection: ForgettingConnection): void {
  const { sdp = '' } = connection.currentRemoteDescription ?? {};
  for (const [, sdpMid = ''] of sdp.matchAll(/^a=mid:(\S+)/gm))
    connection
      .addIceCandidate({ candidate: PLACEHOLDER, sdpMid, usernameFragment: FRAGMENT })
      .catch(() => {});
}
