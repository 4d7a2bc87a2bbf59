/**
 * The server's door: start a gateway from a program of your own.
 * @module server
 */
export { type Config, ConfigError, parseConfig } from './config.js';
export { type Primary, startPrimary } from './master.js';
export { StartError } from './start-error.js';
