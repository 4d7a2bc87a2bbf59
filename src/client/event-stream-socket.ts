// Frames come down as events of one response that never ends. Read by fetch, not EventSource: that knows no headers.
import { EVENTS_PATH } from '../protocol/http-transport.js';
import { HttpSocket } from './http-socket.js';
import type { Reply } from './node-request.js';

export class EventStreamSocket extends HttpSocket {
  protected async run(): Promise<void> {
    const response = await this.dial(EVENTS_PATH, { Accept: 'text/event-stream' });
    if (response === null) return;
    try {
      await this.#read(response);
    } catch {
      // Cut off.
    }
    this.end(1006);
  }

  async #read(response: Reply): Promise<void> {
    const reader = response.body?.getReader();
    const decoder = new TextDecoder();
    let text = '';
    for (;;) {
      const chunk = await reader?.read();
      if (chunk === undefined || chunk.done) return;
      text += decoder.decode(chunk.value, { stream: true });
      for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
        this.#event(text.slice(0, end));
        text = text.slice(end + 2);
      }
    }
  }

  /** One event as the gateway writes it: at most a line `event:`, then a line `data:`; or a comment. */
  #event(block: string): void {
    const [, name, data] = /^(?:event: (.*)\n)?data: (.*)$/.exec(block) ?? [];
    if (data === undefined) return;
    if (name === undefined) this.receive(this.binary ? fromBase64(data) : data);
    else if (name === 'open') this.opened(data);
    else if (name === 'close') this.end(Number(/"close":(\d+)/.exec(data)?.[1] ?? 1006));
  }
}

function fromBase64(text: string): ArrayBuffer {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes.buffer;
}
