// A plugin that misbehaves as its options say: by throwing, hanging or answering rubbish, in every hook.
export default function bad(_context, { how, decides, only }) {
  const misbehave = (...args) => {
    if (only !== undefined && !JSON.stringify(args).includes(only)) return undefined;
    if (how === 'throw') throw new Error('bad by design');
    if (how === 'reject') return Promise.reject(new Error('bad by design'));
    if (how === 'hang') return new Promise(() => undefined);
    return how === 'rubbish' ? { yes: 'maybe' } : how === 'nonsense code' ? { refuse: 'whatever' } : 42;
  };
  const inFrame = (session, frame) =>
    frame.type === 'publish' || frame.type === 'join' ? misbehave(frame.room) : undefined;
  return {
    decides,
    ...(only === undefined ? { connect: misbehave } : {}),
    ...(decides
      ? { frameIn: inFrame }
      : {
          opened: misbehave,
          closed: misbehave,
          joined: misbehave,
          left: misbehave,
          frameIn: misbehave,
          frameOut: misbehave,
          close: misbehave,
        }),
  };
}
