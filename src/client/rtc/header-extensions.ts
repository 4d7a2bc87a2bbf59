// Numbers of RTP header extensions: all media that share a transport must mean the same by one.

/** A section of a description, from its `m=` line on. */
type Section = string;

function sectionsOf(sdp: string): [session: string, ...media: Section[]] {
  const [session = '', ...media] = sdp.split(/^(?=m=)/m);
  return [session, ...media];
}

/** Those that share a transport. */
function isBundled(session: string, section: Section): boolean {
  const mid = /^a=mid:(\S+)/m.exec(section)?.[1];
  return (
    mid !== undefined && (/^a=group:BUNDLE (.*)/m.exec(session)?.[1] ?? '').trim().split(' ').includes(mid)
  );
}

/** Number and name, `a=extmap:8/recvonly urn:…` (RFC 8285 §5). */
const EXTENSION = /^a=extmap:(\d+)\S* (\S+)[^\n]*\n/gm;

/**
 * An own offer without the extensions whose number means another one in what was agreed on before, or in a section before. Chromium 150
 * offers a new video section the numbers that it once proposed, also those that Firefox declined and has given to extensions of its
 * own since; it cannot set that offer itself. What goes with the line is what the other side declined before.
 * @param agreed the description of this side that is in force
 */
export function withoutCollisions(offer: string, agreed: string): string {
  const meanings = new Map<string, string>();
  const [agreedSession, ...agreedMedia] = sectionsOf(agreed);
  for (const section of agreedMedia)
    if (isBundled(agreedSession, section))
      for (const [, id = '', name = ''] of section.matchAll(EXTENSION)) meanings.set(id, name);
  const [session, ...media] = sectionsOf(offer);
  const cleared = media.map((section) =>
    isBundled(session, section)
      ? section.replace(EXTENSION, (line, id: string, name: string) => {
          const meaning = meanings.get(id) ?? name;
          meanings.set(id, meaning);
          return meaning === name ? line : '';
        })
      : section,
  );
  return [session, ...cleared].join('');
}
