// What calls in one trip need, in a file of its own: loaded by who leaves standing offers or asks for those of others.
import type { Caller } from '../caller.js';
import type { Environment } from '../environment.js';
import { Crossing, type CrossingPeers } from './crossing.js';
import { callingMachine } from './crossing-negotiation.js';
import type { GatewayClient, GatewaySignaling } from './gateway-signaling.js';
import type { PeerOptions } from './signaling-peer.js';
import { StandingOffer } from './standing-offer.js';

export interface HoldOptions {
  client: GatewayClient;
  signaling: GatewaySignaling;
  peers: CrossingPeers;
  calls: Pick<Caller, 'call'>;
  environment: Environment;
  /** Of the connections, as it is when one is made. */
  configuration: () => RTCConfiguration;
}

/** From now on that client leaves standing offers, until the one that is returned is closed. */
export function holdOffers({ client, signaling, peers, calls, ...rest }: HoldOptions): StandingOffer {
  const crossing = Crossing.of(signaling.exchange, rest.environment);
  crossing.hold(peers);
  return new StandingOffer(client, crossing, calls, rest.environment, rest.configuration);
}

/** What a peer is made with that asks for the standing offer of whom it calls. */
export function asking(
  signaling: GatewaySignaling,
  environment?: Environment,
): Pick<PeerOptions, 'crossing'> {
  Crossing.of(signaling.exchange, environment);
  return { crossing: callingMachine };
}
