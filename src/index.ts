/**
 * The server's door: start a gateway from a program of your own.
 * @module server
 */
export { createGateway, type Gateway, type GatewayOptions } from './embedded-gateway.js';
export type { EmitOptions, ServerVoice } from './relay/server-voice.js';
export type { GatewaySettings, SettingValue } from './embedded-settings.js';
export type { PageCall, SendResult, Stored } from './relay/server-verbs.js';
export type { Revocation, SessionPlace } from './session/store/store.js';
export { GatewayError } from './protocol/errors.js';
export type {
  ConnectVerdict,
  FrameVerdict,
  OutgoingFrame,
  Plugin,
  PluginContext,
  PluginFactory,
  PluginLog,
  PluginSession,
  PluginSessions,
  VisibleFrame,
  Visitor,
} from './plugin/plugin.js';
export { type Config, ConfigError, parseConfig } from './config.js';
export { type Primary, startPrimary } from './master.js';
export { StartError } from './start-error.js';
