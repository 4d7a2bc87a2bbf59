// What a page needs only once it sends, asks or answers: one module, so that one file is loaded for all of it.
export { renewToken } from './token-renewal.js';
export { Outbox } from './outbox.js';
export { clientsPage, countOf, membersPage, onlineOf } from './pages.js';
export { Responder } from './responder.js';
