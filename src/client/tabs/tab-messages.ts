// What tabs and their hub say to each other. Arrays, because what each end is made of may be shortened apart.

/** On the channel that all tabs of a session hear. */
export type CommonMessage =
  /** A tab asks who is the hub. */
  | [kind: 'who']
  /** A hub is there, since that time. Of two the newer one counts: the other hung, and does not know yet that its lock was taken away. */
  | [kind: 'hub', hub: string, since: number]
  /** A tab wants to speak with that hub, on a channel of this name. */
  | [kind: 'seek', hub: string, channel: string, tab: string];

/** What a tab keeps for the hub, so that another hub can go on: a call that was written, or is about to be. */
export interface Note {
  /** The tab's own count of frames. */
  readonly at: number;
  /** Under which the gateway answers. */
  readonly ref: number;
  /** Of a message that the gateway keeps; 0 of other calls. */
  readonly number: number;
  readonly bytes: Uint8Array;
  /** Which hub had it kept. */
  readonly hub: string;
  /** That hub knows it, so its number goes to nobody else. */
  readonly isSure: boolean;
}

export type ToHub =
  /** With the access token, what earlier hubs had the tab keep, of which session that is, the rooms that a server brought it into, and whether the last hub may have gone on without it. */
  | [kind: 'enter', token: string, notes: Note[], session: string, brought: string[], isBehind: boolean]
  | [kind: 'frame', at: number, bytes: Uint8Array]
  /** The tab has noted what it was told to keep. */
  | [kind: 'kept', at: number]
  /** Whether the hub lives; it says so. */
  | [kind: 'ping']
  /** So many bytes were read. */
  | [kind: 'read', bytes: number]
  /** This connection is given up; the tab may come back. */
  | [kind: 'leave'];

export type ToTab =
  | [kind: 'there']
  | [kind: 'pong']
  | [kind: 'frame', bytes: Uint8Array]
  /** The frame needs no place in the tab any more; that it was noted is known. */
  | [kind: 'took', at: number]
  /** The frame is to be kept, with these, until `done`. */
  | [kind: 'keep', at: number, ref: number, number: number]
  | [kind: 'done', at: number]
  /** The session that the tab is in from now on. Where it does not go on, what was kept belongs to the old one. */
  | [kind: 'session', session: string, goesOn: boolean]
  | [kind: 'brought', rooms: string[]]
  | [kind: 'close', code: number];

/** Begins the names of the locks of tabs. */
export function lockOfTab(name: string, tab: string): string {
  return `${name} tab ${tab}`;
}

/** Whether the first of two hubs is the newer one. */
export function isNewer(
  [hub, since]: readonly [string, number],
  [other, before]: readonly [string, number],
): boolean {
  return since > before || (since === before && hub > other);
}
