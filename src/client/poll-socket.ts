// Frames come down in the answers of numbered polls, one after the other: works where nothing that streams does.
import { CLOSE_HEADER, POLL_PATH } from '../protocol/http-transport.js';
import { splitRecords } from '../protocol/records.js';
import { HttpSocket } from './http-socket.js';
import type { Reply } from './node-request.js';

export class PollSocket extends HttpSocket {
  protected async run(): Promise<void> {
    const response = await this.dial(POLL_PATH, {});
    if (response === null) return;
    try {
      const { connection } = (await response.json()) as { connection: string };
      this.opened(connection);
      for (let number = 1; !this.signal.aborted; number++) {
        const answer = await this.insist(POLL_PATH, number, {}, (told) => this.#read(told));
        if (answer === null) return;
        for (const frame of answer.frames) this.receive(frame);
        if (answer.close !== null) this.end(Number(answer.close));
      }
    } catch {
      // No answer of a gateway.
    }
    this.end(1006);
  }

  async #read(answer: Reply): Promise<{ frames: (string | ArrayBuffer)[]; close: string | null }> {
    const close = answer.headers.get(CLOSE_HEADER);
    if (!this.binary) {
      const lines = (await answer.text()).split('\n');
      return { frames: lines.filter((line) => line !== ''), close };
    }
    const records = splitRecords(new Uint8Array(await answer.arrayBuffer())) ?? [];
    // A copy of its own for each: a frame may be kept longer than the others.
    return { frames: records.map((record) => record.slice().buffer), close };
  }
}
