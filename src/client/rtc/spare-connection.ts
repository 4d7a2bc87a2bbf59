// A connection that is there before it is needed: to make one takes a browser a millisecond or more, on each side of every call.

/** All media share one transport unless an application wants otherwise. */
export function fullConfiguration(configuration: RTCConfiguration): RTCConfiguration {
  return { bundlePolicy: 'max-bundle', ...configuration };
}

/** At most one, which nobody else has seen. It has no sockets, and asks no server, before somebody negotiates with it. */
export class SpareConnection {
  #made: { connection: RTCPeerConnection; isFor: string } | null = null;

  /** Has one ready for such a configuration. Nothing where the platform cannot make it: that is told to who needs it. */
  prepare(configuration: RTCConfiguration): void {
    const isFor = keyOf(configuration);
    if (this.#made?.isFor === isFor) return;
    this.close();
    if (isFor === null) return;
    try {
      const connection = new RTCPeerConnection(fullConfiguration(configuration));
      this.#made = { connection, isFor };
    } catch {
      // No WebRTC, or servers that it does not understand.
    }
  }

  /** The one that is there, if it is for such a configuration; it is the caller's from then on. */
  take(configuration: RTCConfiguration): RTCPeerConnection | null {
    if (this.#made?.isFor !== keyOf(configuration)) return null;
    const { connection } = this.#made;
    this.#made = null;
    return connection;
  }

  close(): void {
    this.#made?.connection.close();
    this.#made = null;
  }
}

/** Null where configurations cannot be compared: certificates are objects of their own. */
function keyOf(configuration: RTCConfiguration): string | null {
  return configuration.certificates === undefined ? JSON.stringify(configuration) : null;
}
