// The OpenAPI document of the API, made from its routes: neither can say what the other does not.
import { VERSION } from '../version.js';
import type { ApiRoute } from './api-routes.js';

const REFUSAL = {
  type: 'object',
  required: ['code', 'message'],
  properties: {
    code: { type: 'string', description: 'Of the table of codes in docs/protocol.md.' },
    message: { type: 'string' },
  },
};
const STATUSES: Record<string, string> = {
  400: 'Something in the request is missing, of the wrong type or out of range.',
  401: 'No such key.',
  403: 'The key does not permit it.',
  404: 'No such target, or no permission to reach it.',
  413: 'The body is too large.',
  429: 'Too many calls; see Retry-After.',
  502: 'The client that was asked has no handler for the event, or its handler failed.',
  503: 'The store cannot be reached now; see Retry-After.',
  507: 'The list of revocations is full.',
  504: 'No answer in time: it may have happened or not. A message with an idempotency key can be repeated.',
};

export function describeApi(routes: readonly ApiRoute[]): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const route of routes) (paths[route.path] ??= {})[route.method.toLowerCase()] = operation(route);
  return {
    openapi: '3.1.0',
    info: {
      title: 'signalbox',
      version: VERSION,
      description: 'What servers may ask of a gateway, on its admin port.',
    },
    components: { securitySchemes: { key: { type: 'http', scheme: 'bearer' } } },
    security: [{ key: [] }],
    paths,
  };
}

function operation({ method, path, summary, permission, input, output, idempotent }: ApiRoute): object {
  const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }));
  const inQuery =
    method === 'GET'
      ? Object.entries((input['properties'] ?? {}) as Record<string, object>).map(([name, schema]) => ({
          name,
          in: 'query',
          schema,
        }))
      : [];
  const inHeader = idempotent
    ? [
        {
          name: 'Idempotency-Key',
          in: 'header',
          schema: { type: 'string', maxLength: 256 },
          description: 'The same key for the same target is the same message: it is stored once.',
        },
      ]
    : [];
  const refusals = Object.fromEntries(
    Object.entries(STATUSES).map(([status, description]): [string, object] => [
      status,
      { description, content: { 'application/json': { schema: REFUSAL } } },
    ]),
  );
  const takesVolatile = permission !== 'admin' && method === 'POST' && path !== '/api/v1/request';
  return {
    summary,
    description: `Needs \`${permission}\` in the \`perm\` of the key.`,
    parameters: [...inPath, ...inQuery, ...inHeader],
    ...(method === 'POST'
      ? { requestBody: { required: true, content: { 'application/json': { schema: input } } } }
      : {}),
    responses: {
      200: { description: 'Done.', content: { 'application/json': { schema: output } } },
      ...(takesVolatile ? { 202: { description: 'A volatile message was passed on.' } } : {}),
      ...refusals,
    },
  };
}
