// What tabs and their hub say to each other. Arrays, because what each end is made of may be shortened apart.

/** On the channel that all tabs of a session hear: a tab looks for the hub, on a channel of this name; a hub is there. */
export type CommonMessage = [kind: 'seek', channel: string, tab: string] | [kind: 'hub', hub: string];

/** What a tab keeps for the hub, so that another hub can go on: a call that was written, or is about to be. */
export interface Note {
  /** The tab's own count of frames. */
  readonly at: number;
  /** Under which the gateway answers. */
  readonly ref: number;
  /** Of a message that the gateway keeps; 0 of other calls. */
  readonly number: number;
  readonly bytes: Uint8Array;
}

export type ToHub =
  /** With the access token, what earlier hubs had the tab keep, and the rooms that a server brought the session into. */
  | [kind: 'enter', token: string, notes: Note[], brought: string[]]
  | [kind: 'frame', at: number, bytes: Uint8Array]
  /** The tab has noted what it was told to keep. */
  | [kind: 'kept', at: number]
  /** So many bytes were read. */
  | [kind: 'read', bytes: number]
  /** This connection is given up; the tab may come back. */
  | [kind: 'leave'];

export type ToTab =
  | [kind: 'there', hub: string]
  | [kind: 'frame', bytes: Uint8Array]
  /** The frame needs no place in the tab any more. */
  | [kind: 'took', at: number]
  /** The frame is to be kept, with these, until `done`. */
  | [kind: 'keep', at: number, ref: number, number: number]
  | [kind: 'done', at: number]
  /** Another session: what was kept belongs to the old one. */
  | [kind: 'fresh']
  | [kind: 'brought', rooms: string[]]
  | [kind: 'close', code: number];

/** Begins the names of the locks of tabs. */
export function lockOfTab(name: string, tab: string): string {
  return `${name} tab ${tab}`;
}
