// What reads the fields that only frames of dialogues have; a page that holds none does not load it.
import { isUint } from './fields.js';
import type { Ask, Part } from './frame.js';
import {
  type EventName,
  isEventName,
  isPairId,
  isServiceName,
  isStreamId,
  type PairId,
  type ServiceName,
  type StreamId,
} from './ids.js';

/** Undefined where the element is not what the field should be. */
export const DIALOGUE_FIELDS = {
  ask: (element: unknown): Ask | undefined => (isUpToTwo(element) ? element : undefined),
  limit: uint,
  name: (element: unknown): EventName | undefined => (isEventName(element) ? element : undefined),
  offset: uint,
  pair: (element: unknown): PairId | undefined => (isPairId(element) ? element : undefined),
  part: (element: unknown): Part | undefined => (isUpToTwo(element) ? element : undefined),
  service: (element: unknown): ServiceName | undefined => (isServiceName(element) ? element : undefined),
  stream: (element: unknown): StreamId | undefined => (isStreamId(element) ? element : undefined),
  upTo: uint,
};

function uint(element: unknown): number | undefined {
  return isUint(element) ? element : undefined;
}

/** Both enumerations of streams are 0, 1 and 2. */
function isUpToTwo(element: unknown): element is Part & Ask {
  return element === 0 || element === 1 || element === 2;
}
