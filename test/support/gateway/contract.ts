import { expect } from 'chai';
import type { TSchema } from 'typebox';
import { adminRoutes } from '../../../src/http/adminRoutes.ts';
import type { AdminServices } from '../../../src/http/adminRoutes.ts';
import { PROBLEMS } from '../../../src/http/errors.ts';
import type { ProblemCode } from '../../../src/http/errors.ts';
import { publicRoutes } from '../../../src/http/publicRoutes.ts';
import type { PublicServices } from '../../../src/http/publicRoutes.ts';
import type { ApiCall, Route } from '../../../src/http/route.ts';
import { problemAnswer } from '../../../src/http/schemas.ts';
import { compile } from '../../../src/schema/compile.ts';
import type { Answer, CallOptions } from '../../../scripts/support/httpClient.ts';

/** Every call as it is declared. The handlers of these routes are never run. */
export const PUBLIC_ROUTES: readonly ApiCall[] = publicRoutes({} as PublicServices);
export const ADMIN_ROUTES: readonly ApiCall[] = adminRoutes({} as AdminServices);

/** Problems that a call need not declare, because the listener itself answers with them. */
const OF_EVERY_CALL: readonly ProblemCode[] = [
  'invalid_request',
  'unauthorized',
  'rate_limited',
  'payload_too_large',
  'unsupported_media_type',
];
const WITHOUT_CALL: readonly ProblemCode[] = [
  'not_found',
  'method_not_allowed',
  'unauthorized',
  'rate_limited',
  'invalid_request',
];

/**
 * The same schema with every object closed. Clients accept unknown members of an answer. Our own answers must have
 * none, so that every member is described.
 */
export function closed(schema: TSchema): TSchema {
  return closedNode(JSON.parse(JSON.stringify(schema))) as TSchema;
}

function closedNode(node: unknown): unknown {
  if (typeof node !== 'object' || node === null) return node;
  if (Array.isArray(node)) return node.map(closedNode);
  const inner = Object.fromEntries(Object.entries(node).map(([name, value]) => [name, closedNode(value)]));
  return 'properties' in inner && Object.keys(inner['properties'] as object).length > 0
    ? { ...inner, additionalProperties: false }
    : inner;
}

const checkProblem = compile(closed(problemAnswer), 'problem');
const checks = new Map<string, ReturnType<typeof compile> | null>();
for (const route of [...PUBLIC_ROUTES, ...ADMIN_ROUTES]) {
  for (const [status, schema] of Object.entries(route.answers)) {
    checks.set(`${route.method} ${route.path} ${status}`, schema === 'text' ? null : compile(closed(schema), 'answer'));
  }
}

/** The call that takes a request on a listener, if any. */
function routeOf(routes: readonly Route[], method: string, path: string): Route | undefined {
  const parts = path.split('?')[0]?.split('/') ?? [];
  return routes.find((route) => {
    const pattern = route.path.split('/');
    const fits =
      pattern.length === parts.length &&
      pattern.every((part, index) => part === parts[index] || (part.startsWith(':') && parts[index] !== ''));
    return fits && route.method === method.toLowerCase();
  });
}

/** Checks an answer against the declaration of its call: the status, the form of the body, the code of a problem. */
export function expectDeclared(
  routes: readonly Route[],
  method: CallOptions['method'],
  path: string,
  answer: Answer,
): void {
  const route = routeOf(routes, method, path);
  const context = `${method} ${path}: ${answer.status} ${answer.text.slice(0, 500)}`;
  if (answer.status < 400) {
    expect(route, context).to.not.equal(undefined);
    const key = `${route?.method} ${route?.path} ${answer.status}`;
    expect([...checks.keys()], context).to.include(key);
    const check = checks.get(key);
    if (check === null || check === undefined) return;
    expect(answer.headers['content-type'], context).to.match(/^application\/json(; charset=utf-8)?$/);
    expect(check(answer.body), context).to.have.property('ok', true);
    return;
  }
  expect(answer.headers['content-type'], context).to.match(/^application\/problem\+json(; charset=utf-8)?$/);
  expect(checkProblem(answer.body), context).to.have.property('ok', true);
  const code = answer.body.code as ProblemCode;
  const declared = route === undefined ? WITHOUT_CALL : [...route.problems, ...OF_EVERY_CALL];
  expect(declared, context).to.include(code);
  const { status, title } = PROBLEMS[code];
  expect(answer.body, context).to.include({ type: `urn:stockgate:problem:${code}`, title, status });
  expect(answer.status, context).to.equal(status);
  expect(answer.body.detail, context).to.be.a('string').and.not.equal('');
  expect(answer.headers['retry-after'] !== undefined, context).to.equal(status === 503 || code === 'rate_limited');
}
