// Why the gateway does not start: a sentence for whoever started it, told without a stack.

/** The gateway cannot start; the message is for whoever started it. */
export class StartError extends Error {
  override readonly name = 'StartError';

  /**
   * A port that cannot be listened on.
   * @param setting the one that names the port
   */
  static port(setting: string, host: string, port: number | null, cause?: unknown): StartError {
    const code = cause instanceof Error && 'code' in cause ? ` (${String(cause.code)})` : '';
    return new StartError(
      `Port ${String(port)} of ${host} cannot be used${code}: it is taken, or not for this user. Set ${setting} to another one.`,
      { cause },
    );
  }
}
