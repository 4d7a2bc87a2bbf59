// The step back from a client's typed frame to the elements of the array on the wire: the mirror of parse.
import { CLIENT_FIELDS, TYPES, type ClientFrame, type Payload } from './frame.js';

/** A frame's elements: type number, then fields in the order of the wire; the payload's two elements come after them. */
export interface Outline {
  fields: unknown[];
  payload: Payload | null;
}

export function formatClientFrame(frame: ClientFrame): Outline {
  const fields: unknown[] = [TYPES[frame.type]];
  for (const name of CLIENT_FIELDS[frame.type]) if (name !== 'payload') fields.push(Reflect.get(frame, name));
  if (frame.type === 'hello' && frame.resume !== null) {
    const { session, key, cursors } = frame.resume;
    // A gateway of before cursors takes no third one.
    fields[3] = cursors.length > 0 ? [session, key, cursors] : [session, key];
  }
  return { fields, payload: 'payload' in frame ? frame.payload : null };
}
