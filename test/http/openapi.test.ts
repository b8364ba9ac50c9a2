import { readdirSync, readFileSync } from 'node:fs';
import { Validator } from '@seriousme/openapi-schema-validator';
import { expect } from 'chai';
import { REFUSAL_CODES } from '../../src/core/outcome.ts';
import { PROBLEMS } from '../../src/http/errors.ts';
import { describe as describeApi } from '../../src/http/openapi.ts';
import type { Route } from '../../src/http/route.ts';
import { cancellationAnswer } from '../../src/http/schemas.ts';
import { compile } from '../../src/schema/compile.ts';
import { projectPath } from '../../src/projectPath.ts';
import { ADMIN_ROUTES, closed, PUBLIC_ROUTES } from '../support/gateway/contract.ts';
import { startTestGateway } from '../support/gateway/gateway.ts';

// eslint-disable-next-line @typescript-eslint/no-explicit-any
type Json = any;

/** The operation ids by call. Generated clients name functions after them, so they never change. */
const OPERATION_IDS = {
  'post /v1/deductions': 'deductOrder',
  'get /v1/deductions/{order_detail_id}': 'getDeduction',
  'post /v1/deductions/lookup': 'lookUpDeductions',
  'get /v1/skus/{sku_id}': 'getSku',
  'get /v1/skus/{sku_id}/flows': 'listFlows',
  'post /v1/returns': 'returnUnits',
  'post /v1/cancellations': 'cancelOrder',
  'post /v1/availability': 'getAvailability',
  'put /v1/skus/{sku_id}': 'openSku',
  'post /v1/skus/{sku_id}/adjustments': 'adjustStock',
  'get /v1/shards': 'listShards',
  'get /metrics': 'getMetrics',
  'get /healthz': 'getHealth',
  'get /readyz': 'getReadiness',
  'get /openapi.json': 'getOpenApi',
  'put /v1/skus/{sku_id}/sale': 'setSale',
  'post /v1/reconciliations': 'reconcileStock',
  'put /v1/skus/{sku_id}/hot': 'splitSku',
  'delete /v1/skus/{sku_id}/hot': 'mergeSku',
};

const METHODS = ['get', 'put', 'post', 'delete', 'options', 'head', 'patch', 'trace'];
const inOpenApi = ({ path }: Route): string => path.replaceAll(/:(\w+)/g, '{$1}');

describe('OpenAPI', () => {
  let description: Json;
  let operations: { name: string; path: string; operation: Json }[];

  before(async () => {
    const gateway = await startTestGateway();
    description = (await gateway.adminGet('/openapi.json')).body;
    await gateway.stop();
    operations = Object.entries<Json>(description.paths).flatMap(([path, item]) =>
      Object.entries<Json>(item).map(([method, operation]) => ({ name: `${method} ${path}`, path, operation })),
    );
  });

  it('is valid OpenAPI 3.1', async () => {
    const validator = new Validator();
    const { valid, errors } = await validator.validate(structuredClone(description));
    expect(valid, JSON.stringify(errors)).to.equal(true);
    expect(validator.version).to.equal('3.1');
    expect((await new Validator().validate({ ...description, paths: { a: {} } })).valid).to.equal(false);
  });

  it('names every call of both listeners, and no other', () => {
    const routes = [
      ...PUBLIC_ROUTES.map((route) => ({ tag: 'public', route })),
      ...ADMIN_ROUTES.map((route) => ({ tag: 'admin', route })),
    ];
    const declared = routes.map(({ tag, route }) => `${tag}: ${route.method} ${inOpenApi(route)}`);
    expect(operations.map(({ name, operation }) => `${operation.tags.join()}: ${name}`).sort()).to.deep.equal(
      declared.sort(),
    );
    expect(
      Object.values<Json>(description.paths)
        .flatMap(Object.keys)
        .filter((method) => !METHODS.includes(method)),
    ).to.deep.equal([]);
    expect(new Set(declared)).to.have.property('size', routes.length);
  });

  it('is what the declared routes describe', () => {
    expect(description).to.deep.equal(
      describeApi([
        { tag: 'public', routes: PUBLIC_ROUTES },
        { tag: 'admin', routes: ADMIN_ROUTES },
      ]),
    );
  });

  it('declares a parameter for every placeholder, and a response and a summary for every call', () => {
    for (const { name, path, operation } of operations) {
      const declared = operation.parameters.filter((parameter: Json) => parameter.in === 'path');
      expect(
        declared.map((parameter: Json) => `{${parameter.name}}`),
        name,
      ).to.deep.equal(path.match(/\{\w+\}/g) ?? []);
      expect(
        declared.every((parameter: Json) => parameter.required === true),
        name,
      ).to.equal(true);
      expect(Object.keys(operation.responses), name).to.not.deep.equal([]);
      expect(operation.summary, name).to.match(/^[A-Z].*[^.]$/);
      expect(operation.description, name).to.match(/^[A-Z`].*\.$/);
    }
  });

  it('gives every call its own operation id, which stays', () => {
    const ids = Object.fromEntries(operations.map(({ name, operation }) => [name, operation.operationId as unknown]));
    expect(ids).to.deep.equal(OPERATION_IDS);
    expect(new Set(Object.values(ids))).to.have.property('size', operations.length);
    expect(Object.values<unknown>(ids).filter((id) => !/^[a-z]+([A-Z][a-z]+)+$/.test(String(id)))).to.deep.equal([]);
  });

  it('requires a token for every call except the health checks of a load balancer', () => {
    const open = operations.filter(({ operation }) => operation.security.length === 0).map(({ name }) => name);
    expect(open).to.deep.equal(['get /healthz', 'get /readyz']);
    for (const { name, operation } of operations)
      expect('401' in operation.responses, name).to.equal(!open.includes(name));
  });

  it('declares a rate limit on the public listener, and on no other', () => {
    for (const { name, operation } of operations)
      expect('429' in operation.responses, name).to.equal(operation.tags.includes('public'));
  });

  /** Every object schema below a node, with its path. */
  function objectsBelow(node: Json, path: string): { path: string; schema: Json }[] {
    if (typeof node !== 'object' || node === null) return [];
    const inner = Object.entries<Json>(node).flatMap(([name, value]) => objectsBelow(value, `${path}/${name}`));
    return node.type === 'object' ? [{ path, schema: node }, ...inner] : inner;
  }

  it('forbids unknown members in the objects of a request, and allows them in an answer', () => {
    const requests = operations.flatMap(({ name, operation }) => objectsBelow(operation.requestBody ?? {}, name));
    const answers = [
      ...operations.flatMap(({ name, operation }) => objectsBelow(operation.responses, name)),
      ...objectsBelow(description.components.schemas, 'components'),
    ];
    expect(requests).to.have.length.above(8);
    expect(answers).to.have.length.above(20);
    expect(
      requests.filter(({ schema }) => schema.additionalProperties !== false).map(({ path }) => path),
    ).to.deep.equal([]);
    expect(answers.filter(({ schema }) => 'additionalProperties' in schema).map(({ path }) => path)).to.deep.equal([]);
  });

  it('resolves every reference', () => {
    const references = [...JSON.stringify(description).matchAll(/"\$ref":"#\/([^"]+)"/g)].map(([, path = '']) => path);
    expect(references).to.not.deep.equal([]);
    for (const path of new Set(references)) {
      expect(
        path.split('/').reduce((node: Json, part) => node?.[part], description),
        path,
      ).to.be.an('object');
    }
  });
});

describe('the contract tests', () => {
  const answer = {
    order_id: 'o',
    status: 'cancelled',
    replayed: false,
    lines: [{ order_detail_id: 'd', sku_id: 's' }],
  };

  it('accept an answer by the published schema with a member added, and reject one with a member missing', () => {
    const check = compile(cancellationAnswer, 'answer');
    expect(check({ ...answer, added: 1, lines: [{ ...answer.lines[0], added: 1 }] })).to.have.property('ok', true);
    expect(check({ ...answer, lines: [{ sku_id: 's' }] })).to.have.property('ok', false);
    const less = Object.entries(answer).filter(([name]) => name !== 'replayed');
    expect(check(Object.fromEntries(less))).to.have.property('ok', false);
  });

  it('reject a member of our own answers that no schema names', () => {
    const check = compile(closed(cancellationAnswer), 'answer');
    expect(check(answer)).to.have.property('ok', true);
    expect(check({ ...answer, added: 1 })).to.have.property('ok', false);
    expect(check({ ...answer, lines: [{ ...answer.lines[0], added: 1 }] })).to.have.property('ok', false);
  });
});

describe('problems', () => {
  const codes = Object.keys(PROBLEMS);

  it('are all in docs/api.md, with their status, and no others are', () => {
    const rows = readFileSync(projectPath('docs/api.md'), 'utf8').matchAll(
      /^\| `(\w+)` \| (\d+) \| \S.* \| \S.* \|$/gm,
    );
    const documented = [...rows].map(([, code, status]) => [code, Number(status)]);
    expect(documented).to.deep.equal(Object.entries(PROBLEMS).map(([code, { status }]) => [code, status]));
  });

  it('are all used: by a call, or by the code in front of the calls', () => {
    const byCalls = [...PUBLIC_ROUTES, ...ADMIN_ROUTES].flatMap((route) => route.problems);
    const files = readdirSync(projectPath('src/http')).filter(
      (file) => file.endsWith('.ts') && !['errors.ts', 'openapi.ts'].includes(file),
    );
    const source = files.map((file) => readFileSync(projectPath(`src/http/${file}`), 'utf8')).join('\n');
    const before = [...source.matchAll(/'(\w+)'/g)].map(([, word = '']) => word);
    // `invalid()` creates this code.
    const used = new Set<string>([...byCalls, ...before, 'invalid_request']);
    expect(codes.filter((code) => !used.has(code))).to.deep.equal([]);
  });

  it('include every refusal code of an engine, and at least one call declares it', () => {
    const declared = new Set<string>([...PUBLIC_ROUTES, ...ADMIN_ROUTES].flatMap((route) => route.problems));
    expect(REFUSAL_CODES.filter((code) => !codes.includes(code) || !declared.has(code))).to.deep.equal([]);
  });

  it('carry a retry delay when the request itself is not at fault, and only then', () => {
    const entries = Object.entries(PROBLEMS);
    const later = entries.filter(([, kind]) => 'retryAfterSeconds' in kind).map(([code]) => code);
    expect(later).to.deep.equal(
      entries.filter(([, { status }]) => status === 503 || (status as number) === 429).map(([code]) => code),
    );
  });
});
