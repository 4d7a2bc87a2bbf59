// Limits that both sides share; what an operator may change stands in src/config.ts.

/** Largest frame on the wire, bytes. Room for any SDP with candidates; small enough that 1,000 of them fit in memory. */
export const FRAME_LIMIT_BYTES = 256 * 1024;
/** Largest payload after inflating, bytes: what a receiver must be ready to hold. */
export const INFLATED_LIMIT_BYTES = 1024 * 1024;
/** Largest access token, bytes: it travels in a header, and headers may hold 16 KiB. */
export const TOKEN_LIMIT_BYTES = 4 * 1024;
/** Deepest nesting of a frame's header values (not of payloads): the deepest legal one is 3. */
export const HEADER_DEPTH_LIMIT = 8;
/** Most values in a client's frame, counting those inside arrays and maps: two full lists of targets fit twice. */
export const HEADER_ITEMS_LIMIT = 1024;
/** The same for a gateway's frame: a full page of members is 1,000 maps of two entries. */
export const RESULT_ITEMS_LIMIT = 16 * 1024;
/** Longest handle, cursor, resume key or name of a client's library, in characters; all are opaque. */
export const OPAQUE_LIMIT_CHARACTERS = 1024;
/** Longest text of a refusal, in characters. */
export const TEXT_LIMIT_CHARACTERS = 1024;
/** Most targets of one send, or names in one `except`. */
export const TARGETS_LIMIT = 256;
/** Deepest nesting of a payload that the SDK decodes. */
export const PAYLOAD_DEPTH_LIMIT = 64;
/** Most rows of one page of clients or members. */
export const PAGE_LIMIT = 1000;
/** Longest time-out of a request, ms. */
export const REQUEST_TIMEOUT_LIMIT_MS = 120_000;
/** Most cursors of one hello: one for each room that a session may be in by any setting, and the inbox. */
export const CURSORS_LIMIT = 257;
/** Most messages of a room that a joining session may ask for. */
export const HISTORY_LIMIT = 1000;
/** Largest payload of one chunk of a stream, bytes: what a sender writes at most before others get their turn. */
export const STREAM_CHUNK_LIMIT_BYTES = 32 * 1024;
/** Largest standing offer, bytes: the description of a connection for data has 500, each of its candidates 100; each session may hold one. */
export const STANDING_OFFER_LIMIT_BYTES = 8 * 1024;
/** What a chunk counts in its stream beside its payload, bytes: a million empty chunks cost memory too. */
export const STREAM_CHUNK_COST_BYTES = 64;
/** Most that a reader of a stream may allow beyond what it has, bytes: what its sender has to keep. */
export const STREAM_WINDOW_LIMIT_BYTES = 16 * 1024 * 1024;
/** Longest time to live of a message, ms: a day. */
export const TTL_LIMIT_MS = 86_400_000;
/** Above this many members a room tells counts only, not each join and leave. */
export const PRESENCE_DETAIL_LIMIT_MEMBERS = 1000;
