// Artillery's engine for signalbox: each virtual user has named sessions, and a step that is not answered in time fails it.
const { randomUUID } = require('node:crypto');
const { readFileSync } = require('node:fs');
const { join } = require('node:path');
const { isDeepStrictEqual } = require('node:util');
const jwt = require('jsonwebtoken');
const { Session } = require('./session.cjs');

const SAMPLES = join(__dirname, '..', '..', 'test', 'protocol', 'samples');
const DEFAULT_TIMEOUT_MS = 5000;
const TOKEN_LIFE_S = 600;

/** Real SDPs and candidates of browsers; `name[2]` is one of a list. */
function readSample(reference) {
  const [, name, at] = /^([\w-]+)(?:\[(\d+)\])?$/.exec(reference) ?? [];
  const content = JSON.parse(readFileSync(join(SAMPLES, `${name}.json`), 'utf8'));
  return at === undefined ? content : content[Number(at)];
}

class SignalboxEngine {
  #config;
  #util;
  #timeoutMs;
  #secret = process.env.JWT_SECRET;
  #samples = new Map();

  constructor(script, _events, util) {
    this.#config = script.config;
    this.#util = util;
    this.#timeoutMs = script.config.engines?.signalbox?.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  }

  createScenario(scenario, events) {
    if (!this.#secret) throw new Error('JWT_SECRET is needed: each session signs its own token with it');
    const steps = scenario.flow.map((step) => this.#step(step, events));
    return (context, callback) => {
      events.emit('started');
      context.sessions = new Map();
      context.vars.run = randomUUID().slice(0, 8);
      void this.#run(steps, context, events).then(
        () => callback(null, context),
        (error) => {
          events.emit('error', error.message);
          callback(error, context);
        },
      );
    };
  }

  async #run(steps, context) {
    try {
      for (const step of steps) await step(context);
    } finally {
      for (const session of context.sessions.values()) session.drop();
    }
  }

  /** A step of the YAML as an async function of the virtual user's context. */
  #step(step, events) {
    if (step.loop) {
      const inner = step.loop.map((one) => this.#step(one, events));
      return async (context) => {
        for (let turn = 0; turn < (step.count ?? 1); turn++) {
          context.vars.turn = turn;
          for (const one of inner) await one(context);
        }
      };
    }
    if (step.think !== undefined)
      return () => new Promise((resolve) => setTimeout(resolve, step.think * 1000));
    const [verb] = Object.keys(step);
    const act = this.#verbs(events)[verb];
    if (act === undefined) throw new Error(`unknown step: ${verb}`);
    return (context) => act(this.#util.template(step[verb], context), context);
  }

  #verbs(events) {
    return {
      connect: (step, context) => this.#connect(step, context, events),
      drop: ({ as }, { sessions }) => sessions.get(as).drop(),
      resume: ({ as }, { sessions }) => timed(events, 'resume', () => sessions.get(as).connect()),
      close: ({ as }, { sessions }) => sessions.get(as).close(),
      join: ({ as, room }, { sessions }) => timed(events, 'join', () => sessions.get(as).join(room)),
      leave: ({ as, room }, { sessions }) => timed(events, 'leave', () => sessions.get(as).leave(room)),
      message: (step, { sessions }) => this.#message(step, sessions, events),
      request: (step, { sessions }) => this.#request(step, sessions, events),
      publish: (step, { sessions }) => this.#publish(step, sessions, events),
    };
  }

  /** `connect: { as, client }`: a session with a token of its own. */
  #connect({ as, client }, { sessions }, events) {
    const url = new URL('/v1/connect', this.#config.target.replace(/^http/, 'ws'));
    const session = new Session({
      url: url.href,
      timeoutMs: this.#timeoutMs,
      token: () =>
        jwt.sign({ perm: '*' }, this.#secret, {
          algorithm: 'HS256',
          subject: client,
          expiresIn: TOKEN_LIFE_S,
          jwtid: randomUUID(),
        }),
      onUnexpected: (text) => events.emit('error', text),
    });
    sessions.set(as, session);
    return timed(events, 'connect', () => session.connect());
  }

  #dataOf({ data, sample }) {
    if (sample === undefined) return data;
    if (!this.#samples.has(sample)) this.#samples.set(sample, readSample(sample));
    return this.#samples.get(sample);
  }

  /** `message: { from, to, event, data | sample }`: accepted, and heard by the other session as it was sent. */
  #message({ from, to, event, ...rest }, sessions, events) {
    const data = this.#dataOf(rest);
    const [sender, receiver] = [sessions.get(from), sessions.get(to)];
    return timed(events, 'message', () =>
      Promise.all([
        receiver.hears({ from: sender.client, event, data }),
        sender.send(receiver.client, event, data),
      ]),
    );
  }

  /** `request: { from, to, event, data | sample }`: the other session answers with the same data. */
  #request({ from, to, event, ...rest }, sessions, events) {
    const data = this.#dataOf(rest);
    return timed(events, 'request', async () => {
      const answer = await sessions.get(from).request(sessions.get(to).client, event, data);
      if (!isDeepStrictEqual(answer, data)) throw new Error('wrong answer');
    });
  }

  /** `publish: { from, room, event, data, heardBy: […] }`: accepted, and heard by each of the others. */
  #publish({ from, room, event, heardBy, ...rest }, sessions, events) {
    const data = this.#dataOf(rest);
    const sender = sessions.get(from);
    return timed(events, 'publish', () =>
      Promise.all([
        ...heardBy.map((name) => sessions.get(name).hears({ room, from: sender.client, event, data })),
        sender.publish(room, event, data),
      ]),
    );
  }
}

/** Counts what succeeds and records how long it took, ms; what fails is an error of the virtual user. */
async function timed(events, name, action) {
  const startedAt = performance.now();
  await action();
  events.emit('counter', `signalbox.ok.${name}`, 1);
  events.emit('histogram', `signalbox.${name}_ms`, performance.now() - startedAt);
}

module.exports = SignalboxEngine;
