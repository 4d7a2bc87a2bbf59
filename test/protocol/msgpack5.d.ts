// The part of msgpack5 that the tests use; the package brings no types.
declare module 'msgpack5' {
  interface MessagePack {
    encode(value: unknown): Uint8Array;
    decode(bytes: Uint8Array): unknown;
  }
  export default function msgpack5(options?: {
    forceFloat64?: boolean;
    preferMap?: boolean;
    protoAction?: 'error' | 'remove' | 'ignore';
  }): MessagePack;
}
