// Authorization by hook: the application is asked on connect, join and publish, because permissions change faster than tokens.
import type { FrameVerdict, Plugin, PluginFactory, PluginSession, VisibleFrame } from '../plugin/plugin.js';
import { targetOf } from '../hook-target.js';
import { SignedPoster } from './signed-post.js';

/** Answers that are remembered in one worker, some 300 bytes each; past it the oldest go. */
const CACHE_LIMIT_ANSWERS = 20_000;
/** An answer that says nothing of its life is asked for again each time; none lives longer than this, s. */
const TTL_LIMIT_S = 3_600;
/** How long the application may take where the options do not say, ms: less than the plugin's own `timeoutMs`. */
const TIMEOUT_MS = 900;

const QUESTIONS = ['connect', 'join', 'publish'] as const;
type Question = (typeof QUESTIONS)[number];

interface Answer {
  allow: boolean;
  ttlS: number;
  /** With `connect`: permissions in place of the token's. */
  perm: unknown;
}

interface Options {
  timeoutMs: number;
  ask: ReadonlySet<Question>;
}

class Authorizer implements Plugin {
  readonly decides = true;
  private readonly known = new Map<string, { answer: Answer; until: number }>();
  /** Questions under way: the same one is asked once. */
  private readonly asking = new Map<string, Promise<Answer>>();

  constructor(
    private readonly poster: SignedPoster,
    private readonly options: Options,
  ) {}

  async connect({ client, tokenId, address }: Parameters<NonNullable<Plugin['connect']>>[0]) {
    if (!this.options.ask.has('connect')) return undefined;
    const { allow, perm } = await this.answer({ type: 'connect', client, tokenId, address });
    if (!allow) return { refuse: 'forbidden' } as const;
    return perm === undefined ? undefined : { perm };
  }

  frameIn({ client, id: session }: PluginSession, frame: VisibleFrame): FrameVerdict | Promise<FrameVerdict> {
    const question = this.questionOf(frame);
    if (question === null) return undefined;
    const answer = this.answer({ ...question, client, session });
    return answer instanceof Promise ? answer.then(verdictOf) : verdictOf(answer);
  }

  close(): void {
    this.poster.close();
  }

  private questionOf(frame: VisibleFrame): { type: Question; room: string; event?: string } | null {
    const { ask } = this.options;
    if (frame.type === 'join' && ask.has('join')) return { type: 'join', room: frame.room };
    if (!ask.has('publish')) return null;
    if (frame.type === 'publish') return { type: 'publish', room: frame.room, event: frame.event };
    // A stream to a room is another way to be heard in it.
    if (frame.type === 'openStream' && frame.room !== null)
      return { type: 'publish', room: frame.room, event: frame.name };
    if (frame.type === 'attachStream' && frame.opened && frame.room !== null)
      return { type: 'publish', room: frame.room };
    return null;
  }

  /** At once where it is known. */
  private answer(question: object): Answer | Promise<Answer> {
    const key = JSON.stringify(question);
    const known = this.known.get(key);
    if (known !== undefined && known.until > performance.now()) return known.answer;
    const asking = this.asking.get(key) ?? this.fetch(key, question);
    this.asking.set(key, asking);
    return asking;
  }

  private async fetch(key: string, question: object): Promise<Answer> {
    try {
      const { status, text } = await this.poster.post(question, this.options.timeoutMs);
      if (status !== 200) throw new Error(`the application answered with ${String(status)}`);
      const answer = parseAnswer(text);
      this.keep(key, answer);
      return answer;
    } finally {
      this.asking.delete(key);
    }
  }

  private keep(key: string, answer: Answer): void {
    this.known.delete(key);
    if (answer.ttlS === 0) return;
    this.known.set(key, { answer, until: performance.now() + answer.ttlS * 1000 });
    const [oldest] = this.known.keys();
    if (this.known.size > CACHE_LIMIT_ANSWERS && oldest !== undefined) this.known.delete(oldest);
  }
}

/** @throws Error for what is no answer, which is no permission either */
function parseAnswer(text: string): Answer {
  const value: unknown = JSON.parse(text);
  const { allow, ttlS = 0, perm } = Object(value) as Record<string, unknown>;
  if (typeof allow !== 'boolean') throw new Error('the answer of the application has no "allow"');
  if (typeof ttlS !== 'number' || !(ttlS >= 0)) throw new Error('the "ttlS" of the application is no time');
  return { allow, ttlS: Math.min(ttlS, TTL_LIMIT_S), perm };
}

function verdictOf({ allow }: Answer): FrameVerdict {
  return allow ? undefined : { refuse: 'forbidden' };
}

function optionsOf({
  timeoutMs = TIMEOUT_MS,
  ask = QUESTIONS,
}: {
  timeoutMs?: unknown;
  ask?: unknown;
}): Options {
  if (typeof timeoutMs !== 'number' || !(timeoutMs > 0))
    throw new TypeError('options.timeoutMs must be above 0');
  const isQuestion = (name: unknown): name is Question => QUESTIONS.some((question) => question === name);
  if (!Array.isArray(ask) || !ask.every(isQuestion))
    throw new TypeError(`options.ask must be a list of ${QUESTIONS.join(', ')}`);
  return { timeoutMs, ask: new Set(ask) };
}

const authorize: PluginFactory = (_context, options) => {
  const given = Object(options) as Record<string, unknown>;
  return new Authorizer(new SignedPoster(targetOf(given)), optionsOf(given));
};
export default authorize;
