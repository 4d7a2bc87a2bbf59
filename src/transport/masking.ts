// Has `ws` unmask what clients send by words of four bytes: imported before it, in a process that is a worker's own.
import http from 'node:http';
import { provideMasking } from '../protocol/masking.js';

provideMasking(http);
