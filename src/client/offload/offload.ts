/**
 * Work off the main thread: a pool of Web Workers (in Node: worker threads) that run the application's functions.
 * @module offload
 */
export { OffloadError } from './offload-error.js';
export {
  type Offloaded,
  type OffloadCallOptions,
  type OffloadOptions,
  OffloadPool,
  type RegisterOptions,
} from './pool.js';
export type { OffloadScope } from './thread-body.js';
