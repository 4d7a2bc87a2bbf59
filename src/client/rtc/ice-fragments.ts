// The ICE user fragments of a description: each names one gathering of candidates.

export function fragmentsOf(description: { sdp: string } | null): string {
  return [...(description?.sdp ?? '').matchAll(/^a=ice-ufrag:(\S+)/gm)]
    .map(([, fragment]) => fragment)
    .join(' ');
}

/** ICE was restarted, which renews all of them; a section that comes or goes does not. */
export function areRenewed(before: string, now: string): boolean {
  const last = before.split(' ');
  return !now.split(' ').some((fragment) => last.includes(fragment));
}
