// ICE restarts of a call between Firefox and another browser: what keeps that one from staying with addresses where Firefox only answers.

/** By the origin of a description as its browser made it; Chromium keeps no such line of the other side's. */
export function isFirefox(description: { sdp: string } | null): boolean {
  return /^o=mozilla/m.test(description?.sdp ?? '');
}

/** As much of an `RTCPeerConnection` as is needed here. */
interface ForgettingConnection {
  readonly currentRemoteDescription: { readonly sdp: string } | null;
  addIceCandidate(candidate: RTCIceCandidateInit): Promise<void>;
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
