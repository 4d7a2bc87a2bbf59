// What a page needs only once it sends, asks or answers: one module, so that one file is loaded for all of it.
export { Flight } from './flight.js';
export { Responder } from './responder.js';
export { readAnswer } from './results.js';
