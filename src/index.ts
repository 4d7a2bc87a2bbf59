// The server's door: start a gateway from a program of your own.
export { createGateway, type EmitOptions, type Gateway, type GatewayOptions } from './embedded-gateway.js';
export type { GatewaySettings, SettingValue } from './embedded-settings.js';
export { GatewayError } from './protocol/errors.js';
export { type Config, ConfigError, parseConfig } from './config.js';
export { type Primary, startPrimary } from './master.js';
export { StartError } from './start-error.js';
