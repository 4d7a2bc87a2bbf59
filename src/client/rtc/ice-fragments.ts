// The ICE user fragments of a description: each names one gathering of candidates.

export function fragmentsOf(description: { sdp: string } | null): string {
  return [...(description?.sdp ?? '').matchAll(/^a=ice-ufrag:(\S+)/gm)]
    .map(([, fragment]) => fragment)
    .join(' ');
}
