// A connection that is there before it is needed: to make one takes a browser a millisecond or more, on each side of every call.

/** All media share one transport unless an application wants otherwise. */
export function fullConfiguration(configuration: RTCConfiguration): RTCConfiguration {
  return { bundlePolicy: 'max-bundle', ...configuration };
}

/** At most one, which nobody else has seen. It has no sockets, and asks no server, before somebody negotiates with it. */
export class SpareConnection {
  #made: { connection: RTCPeerConnection; isFor: string; servers: string } | null = null;

  /** Has one ready for such a configuration. Nothing where the platform cannot make it: that is told to who needs it. */
  prepare(configuration: RTCConfiguration): void {
    const isFor = keyOf(configuration);
    if (this.#isGood(isFor)) return;
    this.close();
    if (isFor === null) return;
    try {
      const connection = new RTCPeerConnection(fullConfiguration(configuration));
      this.#made = { connection, isFor, servers: serversOf(configuration) };
    } catch {
      // No WebRTC, or servers that it does not understand.
    }
  }

  /** The one that is there, if it is for such a configuration but for the servers; it is the caller's from then on. */
  take(configuration: RTCConfiguration): RTCPeerConnection | null {
    if (this.#made === null || !this.#isGood(keyOf(configuration))) return null;
    const { connection, servers } = this.#made;
    // Before the welcome there were none, and credentials are renewed; it has not asked any yet.
    if (servers !== serversOf(configuration))
      try {
        connection.setConfiguration(fullConfiguration(configuration));
      } catch {
        // Older Firefox cannot.
        this.close();
        return null;
      }
    this.#made = null;
    return connection;
  }

  close(): void {
    this.#made?.connection.close();
    this.#made = null;
  }

  /** Browsers close some by themselves, as those of a page that is put aside. */
  #isGood(isFor: string | null): boolean {
    return this.#made?.isFor === isFor && this.#made.connection.signalingState !== 'closed';
  }
}

/** All but the servers. Null where configurations cannot be compared: certificates are objects of their own. */
function keyOf({ iceServers: _, ...rest }: RTCConfiguration): string | null {
  return rest.certificates === undefined ? JSON.stringify(rest) : null;
}

function serversOf({ iceServers = [] }: RTCConfiguration): string {
  return JSON.stringify(iceServers);
}
