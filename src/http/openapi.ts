import type { TSchema } from 'typebox';
import { PROBLEMS } from './errors.ts';
import type { ProblemCode, Reply } from './errors.ts';
import { PROBLEM_EXAMPLES } from './examples/problems.ts';
import type { ApiCall } from './route.ts';
import { problemAnswer } from './schemas.ts';

export interface ListenerDescription {
  readonly tag: 'public' | 'admin';
  readonly routes: readonly ApiCall[];
}

/** Problems that every call of a listener may have. */
const COMMON_PROBLEMS: Readonly<Record<ListenerDescription['tag'], readonly ProblemCode[]>> = {
  public: ['unauthorized', 'rate_limited'],
  admin: ['unauthorized'],
};
const DESCRIPTION = [
  'Takes stock without overselling. The same ids, sent again, get the same answer.\n\n',
  'There are three kinds of answer. **Done** (2xx). **Refused** (4xx): this attempt has no effect and gets none later.',
  ' **In doubt** (`outcome_unknown`, or no answer at all): it may or may not have had its effect. Send the same ids',
  ' again, or look them up. Each failure has a stable `code`.',
];

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
      description: DESCRIPTION.join(''),
      license: { name: 'MIT', identifier: 'MIT' },
    },
    tags: [
      { name: 'public', description: 'Calls of shop back ends, on the public listener (`PORT`, 8080)' },
      { name: 'admin', description: 'Calls of operators, on the admin listener (`ADMIN_PORT`, 8081)' },
    ],
    paths,
    components: {
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer', description: 'Each listener has its own tokens.' },
      },
      schemas: { Problem: plain(problemAnswer) },
      examples: Object.fromEntries(
        Object.entries(PROBLEM_EXAMPLES).map(([code, reply]) => [code, problemExample(reply)]),
      ),
    },
  };
}

function operation(tag: ListenerDescription['tag'], call: ApiCall): Record<string, unknown> {
  const { operationId, summary, description, examples, body } = call;
  return {
    tags: [tag],
    operationId,
    summary,
    ...(description !== undefined && { description }),
    security: call.open === true ? [] : [{ bearer: [] }],
    parameters: [...parameters('path', call.params), ...parameters('query', call.query)],
    ...(body !== undefined && {
      requestBody: {
        required: true,
        content: { 'application/json': { schema: plain(body), example: examples.body } },
      },
    }),
    responses: { ...answers(call), ...problems(tag, call) },
  };
}

function parameters(location: 'path' | 'query', schema: TSchema | undefined): Record<string, unknown>[] {
  const { properties = {}, required = [] } = (schema ?? {}) as {
    properties?: Record<string, TSchema & { description?: string }>;
    required?: readonly string[];
  };
  return Object.entries(properties).map(([name, property]) => ({
    name,
    in: location,
    required: required.includes(name),
    ...(property.description !== undefined && { description: property.description }),
    schema: plain(property),
  }));
}

function answers(call: ApiCall): Record<string, unknown> {
  const isRepeatable = '201' in call.answers;
  return Object.fromEntries(
    Object.entries(call.answers).map(([status, schema]) => {
      const example = call.examples.answers[Number(status)];
      const content =
        schema === 'text'
          ? { 'text/plain': { schema: { type: 'string' }, example } }
          : { 'application/json': { schema: plain(schema), example } };
      const description = status === '200' && isRepeatable ? 'It was done before; nothing was changed now' : 'Done';
      return [status, { description, content }];
    }),
  );
}

/** The responses for problems. Problems with the same status share one response, which names their codes. */
function problems(tag: ListenerDescription['tag'], call: ApiCall): Record<string, unknown> {
  const readsInput = call.params !== undefined || call.query !== undefined || call.body !== undefined;
  const codes = [
    ...(call.open === true ? [] : COMMON_PROBLEMS[tag]),
    ...(readsInput ? INPUT_PROBLEMS : []),
    ...(call.body === undefined ? [] : BODY_PROBLEMS),
    ...call.problems,
  ];
  const statuses = [...new Set(codes.map((code) => PROBLEMS[code].status))];
  return Object.fromEntries(
    statuses.map((status) => {
      const alike = codes.filter((code) => PROBLEMS[code].status === status);
      const examples = alike.map((code) => [code, exampleOf(call, code)] as const);
      return [
        status,
        {
          description: alike.map((code) => `\`${code}\`: ${PROBLEMS[code].title}`).join('. '),
          content: {
            'application/problem+json': {
              schema: { $ref: '#/components/schemas/Problem' },
              examples: Object.fromEntries(examples),
            },
          },
        },
      ];
    }),
  );
}

/** The example of a problem: that of the call itself, or the one that most calls share. */
function exampleOf({ examples }: ApiCall, code: ProblemCode): Record<string, unknown> {
  const own = examples.problems?.[code];
  return own === undefined ? { $ref: `#/components/examples/${code}` } : problemExample(own);
}

function problemExample({ body }: Reply): Record<string, unknown> {
  return { value: JSON.parse(body) as unknown };
}

/** The schema as plain JSON, without the library's own properties. */
function plain(schema: TSchema): unknown {
  return JSON.parse(JSON.stringify(schema)) as unknown;
}
