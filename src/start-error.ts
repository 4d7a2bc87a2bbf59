// Why the gateway could not start, where the machine is the reason: said in one line, without a stack.
export class StartError extends Error {
  override readonly name = 'StartError';
}
