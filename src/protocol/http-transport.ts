// What both sides of the HTTP transports agree on: paths, headers, and how many POSTs may overtake each other.

export const EVENTS_PATH = '/v1/events';
export const FRAMES_PATH = '/v1/frames';
export const POLL_PATH = '/v1/poll';
export const TICKETS_PATH = '/v1/tickets';

/** Names the connection that a request belongs to; a secret of that connection. */
export const CONNECTION_HEADER = 'Signalbox-Connection';
/** Counts the POSTs of a connection, and its polls, each from 1. */
export const NUMBER_HEADER = 'Signalbox-Number';
/** On the last answer of a poll: the number with which the connection ended. */
export const CLOSE_HEADER = 'Signalbox-Close';

/** Bodies of requests and polls: records for MessagePack, one frame a line for JSON. */
export const BODY_TYPES = { binary: 'application/octet-stream', text: 'application/x-ndjson' } as const;

/** POSTs that may come before one that was sent earlier; more than any client has under way. */
export const POSTS_AHEAD_LIMIT = 8;
/** What a POST may hold beside one frame of the largest size, bytes: its record's length, a line's end. */
export const POST_SLACK_BYTES = 16;
/** Every gateway takes POSTs of this size, whatever its limit on frames, bytes: many small frames go in one. */
export const POST_BATCH_BYTES = 64 * 1024;
