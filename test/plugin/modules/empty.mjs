// Middleware that does nothing.
export default () => ({ frameIn: () => undefined, frameOut: () => true });
