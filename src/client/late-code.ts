// The code that connecting and listening do not need: one file, for whoever needs some of it first.
import type * as late from './late.js';
import type { Lazy } from './lazy.js';

export type LateCode = Lazy<typeof late>;
