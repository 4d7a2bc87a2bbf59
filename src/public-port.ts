// The public port: what the first worker opened stays the gateway's, also where the system chose it (PORT=0) and every worker has died.

export class PublicPort {
  /** 0 until the first worker listens. */
  number = 0;
  /** Whether who asks for 0 shares it. By its number it would be opened a second time then, which fails. */
  private isShared: boolean;

  constructor(private readonly configured: number) {
    this.isShared = configured === 0;
  }

  /** What a worker asks for that is forked now. */
  get asked(): number {
    return this.isShared ? this.configured : this.number || this.configured;
  }

  /**
   * No worker that listened is left: from now on it is asked for by its number.
   * @returns whether who has asked for 0 since may have been given another one
   */
  closed(): boolean {
    if (!this.isShared || this.number === 0) return false;
    this.isShared = false;
    return true;
  }

  /** A worker listens. @returns false where it does so on another port, since nobody had this one open when it asked */
  opened(port: number): boolean {
    if (this.number === 0) this.number = port;
    if (this.number === port) return true;
    this.isShared = false;
    return false;
  }
}
