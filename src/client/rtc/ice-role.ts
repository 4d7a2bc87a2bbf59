// Which of two ends that have both made an offer controls ICE: each takes itself for that one, and browsers settle it badly.

const LITE = 'a=ice-lite\r\n';

/**
 * Sets an offer of that connection as the one of the end that does not control ICE. Who has offered controls it (RFC 8445, section 6.1.1), but
 * not where it says that it is a lite agent and the other one is full. Chromium needs nothing more than that to change its role, and does all else
 * as a full agent does. Firefox refuses such a description, and stays what it is.
 *
 * Without it both ends of a call in one trip control ICE until a check of one of them is answered with the code 487. Two parts of Chromium then change
 * the role of the same connection, one after the other, which is no change (156, `jsep_transport_controller.cc` and `ice_transport_adapter_impl.cc`):
 * it takes two such checks, 50 ms each, and a third one that was on its way takes the role back.
 */
export async function offerAsControlled(connection: RTCPeerConnection): Promise<void> {
  // Made once: Firefox numbers the sections of the next one anew.
  const { sdp = '' } = await connection.createOffer();
  const lite = sdp.replace(/^m=/m, `${LITE}m=`);
  await connection
    .setLocalDescription({ type: 'offer', sdp: lite })
    .catch(() => connection.setLocalDescription({ type: 'offer', sdp }));
}

/** As the other end hears of it, which would check less of a lite one. */
export function asFullAgent(sdp: string): string {
  return sdp.replace(LITE, '');
}

/** Whether descriptions of this page will be Firefox's. */
export function isInFirefox(): boolean {
  return typeof navigator !== 'undefined' && navigator.userAgent.includes('Firefox/');
}
