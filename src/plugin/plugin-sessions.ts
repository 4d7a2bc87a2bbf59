// The sessions of this worker as plugins see and move them.
import type { CloseCode } from '../protocol/codes.js';
import { CODES } from '../protocol/codes.js';
import type { ClientId, RoomName, SessionId } from '../protocol/ids.js';
import type { ServerVoice } from '../relay/server-voice.js';
import type { SessionRegistry } from '../session/registry.js';
import type { Session } from '../session/session.js';
import type { PluginSession, PluginSessions } from './plugin.js';

/** One for all plugins, so that they see each other's tags. */
class View implements PluginSession {
  readonly tags = new Set<string>();

  constructor(
    private readonly session: Session,
    private readonly gateway: ServerVoice,
  ) {}

  get client(): string {
    return this.session.ref.client;
  }
  get id(): string {
    return this.session.ref.session;
  }
  get address(): string {
    return this.session.connection.address;
  }
  get rooms(): ReadonlySet<string> {
    return this.session.rooms;
  }

  async send(event: string, data?: unknown): Promise<void> {
    await this.gateway.send(this.name, event, data);
  }
  async join(room: string): Promise<void> {
    await this.gateway.join(this.name, room);
  }
  async leave(room: string): Promise<void> {
    await this.gateway.leave(this.name, room);
  }
  /** The new room first: where it is refused the session stays where it is. */
  async move(from: string, to: string): Promise<void> {
    await this.join(to);
    await this.leave(from);
  }

  close(code: CloseCode): void {
    const { close, then } = CODES[code];
    this.session.ended ||= then === 'stop';
    this.session.close(code, close, 0);
  }

  private get name(): string {
    return `${this.client}#${this.id}`;
  }
}

export class LocalSessions implements PluginSessions {
  private readonly views = new WeakMap<Session, PluginSession>();

  constructor(
    private readonly registry: SessionRegistry,
    private readonly gateway: ServerVoice,
  ) {}

  view(session: Session): PluginSession {
    let view = this.views.get(session);
    if (view === undefined) this.views.set(session, (view = new View(session, this.gateway)));
    return view;
  }

  get size(): number {
    return this.registry.size;
  }
  *all(): Iterable<PluginSession> {
    for (const session of this.registry.all()) yield this.view(session);
  }
  get(id: string): PluginSession | undefined {
    const session = this.registry.get(id as SessionId);
    return session === undefined ? undefined : this.view(session);
  }
  ofClient(client: string): PluginSession[] {
    return [...this.registry.ofClient(client as ClientId)].map((session) => this.view(session));
  }
  inRoom(room: string): PluginSession[] {
    return [...this.registry.inRoom(room as RoomName)].map((session) => this.view(session));
  }
  /** Looks at every session of the worker. */
  tagged(tag: string): PluginSession[] {
    return [...this.all()].filter(({ tags }) => tags.has(tag));
  }
}
