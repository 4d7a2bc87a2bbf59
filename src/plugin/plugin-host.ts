// The plugins of one worker: loaded in their order, asked and told by the parts that serve sessions.
import type { Logger } from 'pino';
import type { PluginEntry } from '../plugin-settings.js';
import { CODES, type CloseCode, isCode } from '../protocol/codes.js';
import type { ClientFrame } from '../protocol/frame.js';
import { GatewayError } from '../protocol/errors.js';
import { isClientId } from '../protocol/ids.js';
import { decodePayload } from '../protocol/payload.js';
import type { ServerSource } from '../relay/server-verbs.js';
import { clientOf, ServerVoice } from '../relay/server-voice.js';
import type { Identity } from '../session/authenticator.js';
import type { Connection, ConnectionHandlers } from '../session/connection.js';
import { parsePermissions } from '../session/permissions.js';
import type { SessionRegistry } from '../session/registry.js';
import type { Session } from '../session/session.js';
import type { TimerWheel } from '../session/wheel.js';
import { inflatePayload } from '../session/zlib-compressor.js';
import { type FrameRefusal, GatedVerbs, type Serving } from './gated-verbs.js';
import { PLUGIN_ADDRESS } from './memory-socket.js';
import type {
  OutgoingFrame,
  Plugin,
  PluginContext,
  PluginFactory,
  PluginSession,
  VisibleFrame,
  Visitor,
} from './plugin.js';
import { type Fault, type Outcome, PluginCalls } from './plugin-calls.js';
import { LocalSessions } from './plugin-sessions.js';
import { TappedConnection } from './tapped-connection.js';
import { VirtualSessions } from './virtual-sessions.js';

/** How long a plugin may take to start, ms. */
const START_LIMIT_MS = 10_000;
/** How long all plugins together may take to end, ms. */
const CLOSE_LIMIT_MS = 3_000;

export interface PluginHostOptions {
  entries: readonly PluginEntry[];
  node: string;
  worker: string;
  registry: SessionRegistry;
  wheel: TimerWheel;
  log: Logger;
  frameLimitBytes: number;
  count: (plugin: string, fault: Fault) => void;
}

/** What plugins use, which stands only when the worker is nearly ready. */
export interface PluginParts {
  call: ServerSource['call'];
  accept: (connection: Connection, identity: Identity) => ConnectionHandlers;
}

interface Loaded {
  plugin: Plugin;
  name: string;
  calls: PluginCalls;
}

export class PluginHost {
  private loaded: readonly Loaded[] = [];
  /** Of frames in: those whose verdicts count, and those who are told. */
  private deciders: readonly Loaded[] = [];
  private watchers: readonly Loaded[] = [];
  /** Those who see frames out. */
  private lookers: readonly Loaded[] = [];
  private readonly sessions: LocalSessions;
  private virtual: VirtualSessions | null = null;
  private parts: PluginParts | null = null;

  constructor(private readonly options: PluginHostOptions) {
    this.sessions = new LocalSessions(options.registry, this.voiceOf('plugin'));
  }

  /** @throws Error that says which plugin cannot be loaded, and why */
  async load(parts: PluginParts): Promise<void> {
    this.parts = parts;
    this.virtual = new VirtualSessions(parts.accept);
    const loaded: Loaded[] = [];
    for (const entry of this.options.entries) {
      const { name, timeoutMs } = entry;
      const { wheel, log, count } = this.options;
      const calls = new PluginCalls({
        timeoutMs,
        wheel,
        count: (fault) => {
          count(name, fault);
        },
        log: (fault, error) => {
          log.error(
            { plugin: name, fault, ...(error === null ? {} : { err: error }) },
            'a call of a plugin failed',
          );
        },
      });
      try {
        loaded.push({ plugin: await inTime(this.start(entry)), name, calls });
      } catch (cause) {
        const reason = cause instanceof Error ? cause.message : String(cause);
        throw new Error(`The plugin ${JSON.stringify(name)} cannot be loaded: ${reason}`, { cause });
      }
    }
    this.loaded = loaded;
    const seeing = loaded.filter(({ plugin }) => plugin.frameIn !== undefined);
    this.deciders = seeing.filter(({ plugin }) => plugin.decides === true);
    this.watchers = seeing.filter(({ plugin }) => plugin.decides !== true);
    this.lookers = loaded.filter(({ plugin }) => plugin.frameOut !== undefined);
  }

  /** Verbs that are served once the plugins have let a frame pass. */
  gate(verbs: Serving): Pick<Serving, 'handle'> {
    return new GatedVerbs(verbs, this, this.options.registry);
  }

  /** The same connection where no plugin looks at frames to clients. */
  tap(connection: Connection): Connection {
    return this.lookers.length > 0 && connection.address !== PLUGIN_ADDRESS
      ? new TappedConnection(connection)
      : connection;
  }

  /** Who the visitor is, with the permissions that it has here; or the code with which it is sent away. */
  async admit(identity: Identity, about: Omit<Visitor, 'client' | 'tokenId'>): Promise<Identity | CloseCode> {
    if (about.address === PLUGIN_ADDRESS) return identity;
    const visitor: Visitor = { client: identity.client, tokenId: identity.tokenId, ...about };
    let admitted = identity;
    for (const { plugin, calls } of this.loaded) {
      if (plugin.connect === undefined) continue;
      if (plugin.decides !== true) {
        calls.notify(() => plugin.connect?.(visitor));
        continue;
      }
      const outcome = await calls.ask(() => plugin.connect?.(visitor), readConnectVerdict);
      // It may be mended in a moment: the client comes back.
      if ('fault' in outcome) return outcome.fault === 'overload' ? 'overloaded' : 'internal_error';
      const verdict = outcome.value;
      if ('refuse' in verdict) return verdict.refuse;
      if ('perm' in verdict) admitted = { ...admitted, permissions: parsePermissions(verdict.perm) };
    }
    return admitted;
  }

  opened(session: Session, resumed: boolean): void {
    if (isVirtual(session)) return;
    const view = this.sessions.view(session);
    const { connection } = session;
    if (connection instanceof TappedConnection) connection.look = (frame) => this.mayPass(view, frame);
    for (const { plugin, calls } of this.loaded)
      if (plugin.opened !== undefined) calls.notify(() => plugin.opened?.(view, { resumed }));
  }

  /** Null where the frame may pass. */
  frameIn(session: Session, frame: ClientFrame): FrameRefusal | null | Promise<FrameRefusal | null> {
    if (!isVisible(frame) || isVirtual(session)) return null;
    const view = this.sessions.view(session);
    // With every message: no closures here.
    for (const { plugin, calls } of this.watchers) {
      try {
        const answer: unknown = plugin.frameIn?.(view, frame);
        if (answer !== undefined) calls.ignore(answer);
      } catch (error) {
        calls.threw(error);
      }
    }
    return this.deciders.length === 0 ? null : this.askFrom(0, view, frame);
  }

  private mayPass(view: PluginSession, out: OutgoingFrame): boolean {
    let passes = true;
    for (const { plugin, calls } of this.lookers) {
      try {
        const answer: unknown = plugin.frameOut?.(view, out);
        if (answer === false) passes = false;
        else if (answer !== true) calls.ignore(answer);
      } catch (error) {
        calls.threw(error);
      }
    }
    return passes;
  }

  joined(session: Session, room: string, count: number): void {
    if (isVirtual(session)) return;
    for (const { plugin, calls } of this.loaded)
      if (plugin.joined !== undefined)
        calls.notify(() => plugin.joined?.(this.sessions.view(session), room, count));
  }

  left(session: Session, room: string): void {
    if (isVirtual(session)) return;
    for (const { plugin, calls } of this.loaded)
      if (plugin.left !== undefined) calls.notify(() => plugin.left?.(this.sessions.view(session), room));
  }

  closed(session: Session, code: number, over: boolean): void {
    if (isVirtual(session)) return;
    for (const { plugin, calls } of this.loaded)
      if (plugin.closed !== undefined)
        calls.notify(() => plugin.closed?.(this.sessions.view(session), { code, over }));
  }

  /** Ends the plugins and their sessions; what takes too long is left. */
  async close(): Promise<void> {
    const ends = this.loaded.map(({ plugin, calls }) => {
      const ended = Promise.resolve().then(() => plugin.close?.());
      calls.notify(() => ended);
      return ended;
    });
    const all = Promise.allSettled(ends).then(() => this.virtual?.close());
    await Promise.race([all, new Promise((resolve) => setTimeout(resolve, CLOSE_LIMIT_MS).unref())]);
  }

  /** The verdicts of those that decide, one after the other; without a promise as long as none of them needs one. */
  private askFrom(
    first: number,
    view: PluginSession,
    frame: VisibleFrame,
  ): FrameRefusal | null | Promise<FrameRefusal | null> {
    for (let at = first; at < this.deciders.length; at++) {
      const decider = this.deciders[at];
      const outcome = decider?.calls.ask(() => decider.plugin.frameIn?.(view, frame), readFrameVerdict);
      if (outcome instanceof Promise)
        return outcome.then((settled) => refusalIn(settled) ?? this.askFrom(at + 1, view, frame));
      const refusal = outcome === undefined ? null : refusalIn(outcome);
      if (refusal !== null) return refusal;
    }
    return null;
  }

  private async start(entry: PluginEntry): Promise<Plugin> {
    const path = entry.file ?? new URL(`../plugins/${entry.name}.js`, import.meta.url).href;
    const module: unknown = await import(path);
    const factory: unknown =
      typeof module === 'object' && module !== null && 'default' in module ? module.default : undefined;
    if (typeof factory !== 'function') throw new TypeError('its default export is no function');
    // What it returns is looked at below; that it is called so is the module's own word.
    const plugin: unknown = await (factory as PluginFactory)(this.contextOf(entry), entry.options);
    if (typeof plugin !== 'object' || plugin === null) throw new TypeError('it made no plugin');
    const wrong = HOOKS.find((hook) => !['function', 'undefined'].includes(typeof Reflect.get(plugin, hook)));
    if (wrong !== undefined) throw new TypeError(`its ${wrong} is no function`);
    return plugin;
  }

  private contextOf({ name, file }: PluginEntry): PluginContext {
    const { node, worker, log } = this.options;
    const sender = file === null ? name : nameOfFile(file);
    return {
      node,
      worker,
      log: log.child({ plugin: name }),
      sessions: this.sessions,
      gateway: this.voiceOf(sender),
      openSession: (client, { perm = '*' } = {}) => {
        if (this.virtual === null) throw new GatewayError('unavailable');
        return this.virtual.open(clientOf(client), perm);
      },
      decode: (payload) => decodePayload(payload, { inflate: inflatePayload }),
    };
  }

  private voiceOf(name: string): ServerVoice {
    const { frameLimitBytes } = this.options;
    const call: ServerSource['call'] = async (calls) => {
      if (this.parts === null) throw new GatewayError('unavailable');
      return this.parts.call(calls);
    };
    return new ServerVoice({ call }, { client: clientOf(name), perm: '*' }, frameLimitBytes);
  }
}

const HOOKS = ['connect', 'opened', 'frameIn', 'frameOut', 'joined', 'left', 'closed', 'close'] as const;

function nameOfFile(file: string): string {
  const name = file.replace(/^.*[\\/]/, '').replace(/\.[^.]*$/, '');
  return isClientId(name) ? name : 'plugin';
}

function isVirtual(session: Session): boolean {
  return session.connection.address === PLUGIN_ADDRESS;
}

function isVisible(frame: ClientFrame): frame is VisibleFrame {
  return frame.type !== 'hello' && frame.type !== 'token' && frame.type !== 'pong';
}

function readConnectVerdict(answer: unknown): { refuse: CloseCode } | { perm: unknown } | object | undefined {
  if (answer === undefined) return {};
  if (typeof answer !== 'object' || answer === null) return undefined;
  if ('refuse' in answer) {
    const { refuse } = answer;
    return isCode(refuse) && CODES[refuse].close !== null ? { refuse } : undefined;
  }
  return 'perm' in answer ? { perm: answer.perm } : undefined;
}

const PASSES: { refusal: FrameRefusal | null } = { refusal: null };

function readFrameVerdict(answer: unknown): { refusal: FrameRefusal | null } | undefined {
  if (answer === undefined) return PASSES;
  if (typeof answer !== 'object' || answer === null || !('refuse' in answer)) return undefined;
  const { refuse } = answer;
  if (!isCode(refuse)) return undefined;
  const text = 'text' in answer && typeof answer.text === 'string' ? answer.text : CODES[refuse].text;
  return { refusal: { code: refuse, text } };
}

/** Where there is no verdict there is no permission. */
function refusalIn(outcome: Outcome<{ refusal: FrameRefusal | null }>): FrameRefusal | null {
  if ('value' in outcome) return outcome.value.refusal;
  const code = outcome.fault === 'overload' ? 'overloaded' : 'unavailable';
  return { code, text: 'Nobody could say whether this is permitted.' };
}

function inTime<Value>(started: Promise<Value>): Promise<Value> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(new Error(`it did not start within ${String(START_LIMIT_MS)} ms`));
    }, START_LIMIT_MS);
    started.then(resolve, reject).finally(() => {
      clearTimeout(timer);
    });
  });
}
