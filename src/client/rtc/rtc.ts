/**
 * The door to WebRTC: what `signalbox/rtc` and the browser's `/rtc.js` export, and `client.peer` loads when it is first called.
 * @module rtc
 */
export { GatewaySignaling, type GatewayClient } from './gateway-signaling.js';
export { Ladder } from './ladder.js';
export { LoopbackSignaling, type LoopbackOptions } from './loopback-signaling.js';
export { type Mesh, type MeshEvents, type MeshMember, type MeshOptions, openMesh } from './mesh.js';
export type { NegotiationCounts } from './negotiation.js';
export { hangUp, type PeerCallOptions, type PeerHandler, type Peers, peersOf } from './peers.js';
export type { PeerState } from './recovery.js';
export type { Candidate, NegotiationSignal, Signal, SignalBody } from './signal.js';
export type { LineInfo, LineReceiver, SignalingLine, SignalingMechanism } from './signaling.js';
export type { PeerError } from './peer-errors.js';
export { type PeerEvents, type PeerOptions, RTCSignalingPeer } from './signaling-peer.js';
export type { WaitOptions } from './flow.js';
export { onSimplePeer, simplePeerSignaling, type SimplePeer, type SimplePeerOptions } from './simple-peer.js';
