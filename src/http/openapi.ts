import type { TSchema } from 'typebox';
import { PROBLEMS } from './errors.ts';
import type { ProblemCode } from './errors.ts';
import type { Route } from './route.ts';
import { problemAnswer } from './schemas.ts';

export interface ListenerDescription {
  readonly tag: 'public' | 'admin';
  readonly routes: readonly Route[];
}

/** Problems that every call of a listener may have. */
const COMMON_PROBLEMS: Readonly<Record<ListenerDescription['tag'], readonly ProblemCode[]>> = {
  public: ['unauthorized', 'rate_limited'],
  admin: ['unauthorized'],
};
/** Problems of calls that have parameters or a body. */
const INPUT_PROBLEMS: readonly ProblemCode[] = ['invalid_request'];
const BODY_PROBLEMS: readonly ProblemCode[] = ['payload_too_large', 'unsupported_media_type'];

/** Describes both listeners as OpenAPI 3.1, from the schemas that validate requests. */
export function describe(listeners: readonly ListenerDescription[]): Record<string, unknown> {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const { tag, routes } of listeners) {
    for (const route of routes) {
      const path = route.path.replaceAll(/:(\w+)/g, '{$1}');
      (paths[path] ??= {})[route.method] = operation(tag, route);
    }
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'stockgate',
      version: '1',
      description: 'Takes stock without overselling. The same ids, sent again, get the same answer.',
      license: { name: 'MIT', identifier: 'MIT' },
    },
    tags: [
      { name: 'public', description: 'the listener of shop back ends' },
      { name: 'admin', description: 'the listener of operators' },
    ],
    paths,
    components: {
      securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } },
      schemas: { Problem: plain(problemAnswer) },
    },
  };
}

function operation(tag: ListenerDescription['tag'], route: Route): Record<string, unknown> {
  return {
    tags: [tag],
    summary: route.summary,
    security: route.open === true ? [] : [{ bearer: [] }],
    parameters: [...parameters('path', route.params), ...parameters('query', route.query)],
    ...(route.body === undefined
      ? {}
      : { requestBody: { required: true, content: { 'application/json': { schema: plain(route.body) } } } }),
    responses: { ...answers(route), ...problems(tag, route) },
  };
}

function parameters(location: 'path' | 'query', schema: TSchema | undefined): Record<string, unknown>[] {
  const { properties = {}, required = [] } = (schema ?? {}) as {
    properties?: Record<string, TSchema>;
    required?: readonly string[];
  };
  return Object.entries(properties).map(([name, property]) => ({
    name,
    in: location,
    required: required.includes(name),
    schema: plain(property),
  }));
}

function answers(route: Route): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(route.answers).map(([status, schema]) => {
      const content =
        schema === 'text'
          ? { 'text/plain': { schema: { type: 'string' } } }
          : { 'application/json': { schema: plain(schema) } };
      return [status, { description: status === '201' ? 'Done' : 'Done, or it was done before', content }];
    }),
  );
}

/** The responses for problems. Problems with the same status share one response, which names their codes. */
function problems(tag: ListenerDescription['tag'], route: Route): Record<string, unknown> {
  const readsInput = route.params !== undefined || route.query !== undefined || route.body !== undefined;
  const codes = [
    ...(route.open === true ? [] : COMMON_PROBLEMS[tag]),
    ...(readsInput ? INPUT_PROBLEMS : []),
    ...(route.body === undefined ? [] : BODY_PROBLEMS),
    ...route.problems,
  ];
  const responses: Record<string, { description: string; content: unknown }> = {};
  for (const code of codes) {
    const { status, title } = PROBLEMS[code];
    const text = `\`${code}\`: ${title}`;
    const earlier = responses[status];
    responses[status] = {
      description: earlier === undefined ? text : `${earlier.description}. ${text}`,
      content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
    };
  }
  return responses;
}

/** The schema as plain JSON, without the library's own properties. */
function plain(schema: TSchema): unknown {
  return JSON.parse(JSON.stringify(schema)) as unknown;
}
