// Which end of a connection began the DTLS handshake: what later descriptions must repeat as long as that association lives.
const SETUP = /^a=setup:(active|passive|actpass)/m;

interface Agreed {
  readonly currentLocalDescription: { readonly type: string; readonly sdp: string } | null;
  readonly currentRemoteDescription: { readonly type: string; readonly sdp: string } | null;
}

/**
 * An offer of the other side as this end may answer it. RFC 8842, section 5.3: while the association lives the roles stay, but
 * Firefox 140 answers an ICE restart as if they were open, with `active`, and Chromium 150 cannot apply that where it was active
 * itself ("Failed to set SSL role for the transport"). So an offer that leaves the role open gets the one that its end has.
 */
export function withRoleKept(offer: string, connection: Agreed): string {
  const role = remoteRole(connection);
  return role === null ? offer : offer.replaceAll('a=setup:actpass', `a=setup:${role}`);
}

/** As the last answer said; null before there was one. */
function remoteRole({
  currentLocalDescription: local,
  currentRemoteDescription: remote,
}: Agreed): 'active' | 'passive' | null {
  if (remote?.type === 'answer') return roleIn(remote.sdp);
  if (local?.type !== 'answer') return null;
  const own = roleIn(local.sdp);
  return own === null ? null : own === 'active' ? 'passive' : 'active';
}

function roleIn(sdp: string): 'active' | 'passive' | null {
  const [, role] = SETUP.exec(sdp) ?? [];
  return role === 'active' || role === 'passive' ? role : null;
}
