// What a page needs only once it sends, asks or answers: one module, so that one file is loaded for all of it.
export { CallDesk } from './call-desk.js';
export { watchNetwork } from './network-hints.js';
export { Responder } from './responder.js';
export { Verbs } from './verbs.js';
