import { expect } from 'chai';
import type { TSchema } from 'typebox';
import * as adminSchemas from '../../src/http/adminSchemas.ts';
import * as publicSchemas from '../../src/http/schemas.ts';
import { shown } from '../../src/core/text/shown.ts';
import { compile, compileSettings } from '../../src/schema/compile.ts';
import { settingsSchema } from '../../src/config/settings.ts';
import { shardsFileSchema } from '../../src/config/shardsFile.ts';
import { ADMIN_ROUTES, PUBLIC_ROUTES } from '../support/gateway/contract.ts';
import { sampleOf, wrongValues } from '../support/inputs/wrongValues.ts';

const schemas = { ...publicSchemas, ...adminSchemas };

/** Messages of the validator library, which do not name the value found and often not the allowed values. */
const RAW = /must NOT|must match|must be equal|must pass|must have required|is wrong|something else/;

const inputs = [...PUBLIC_ROUTES, ...ADMIN_ROUTES].flatMap(({ method, path, params, query, body }) =>
  Object.entries({ params, query, body }).flatMap(([part, schema]) =>
    schema === undefined ? [] : [{ name: `${part} of ${method} ${path}`, schema }],
  ),
);

describe('messages of faults', () => {
  const messagesOf = (schema: TSchema, input: unknown): string[] => {
    const checked = compile(schema, 'body')(input);
    return checked.ok ? [] : checked.faults.map(({ path, message }) => `${path} ${message}`);
  };

  for (const { name, schema } of inputs) {
    it(`${name}: each names the field, the value found and the allowed values`, () => {
      const plain = JSON.parse(JSON.stringify(schema)) as Parameters<typeof sampleOf>[0];
      expect(messagesOf(schema, sampleOf(plain)), JSON.stringify(sampleOf(plain))).to.deep.equal([]);
      const all = wrongValues(plain);
      expect(all).to.have.length.above(2);
      for (const { keyword, path, input, allowed, found } of all) {
        const messages = messagesOf(schema, input);
        const what = `${keyword} at ${path}: ${messages.join(' | ')}`;
        expect(messages, what).to.have.length(1);
        const [message = ''] = messages;
        expect(message, what).to.not.match(RAW);
        expect(message.startsWith(`${path || 'body'} `), what).to.equal(true);
        for (const text of allowed) expect(message, what).to.contain(text);
        if (found !== null) expect(message.endsWith(`, found ${found}`), what).to.equal(true);
      }
    });
  }

  it('name the field, the allowed values and the value found', () => {
    const line = { order_detail_id: 'd', sku_id: 's', quantity: 1 };
    const text = { order_id: 'o', lines: [{ ...line, quantity: '5' }] };
    const long = { order_id: 'o', lines: Array(501).fill(line) };
    const cases: readonly (readonly [TSchema, unknown, string])[] = [
      [schemas.saleRequest, { state: 'off' }, 'state must be "on" or "paused", found "off"'],

      [schemas.deductionRequest, text, 'lines[0].quantity must be a whole number from 1 to 1000000, found "5"'],
      [schemas.deductionRequest, long, 'lines must be a list of 1 to 500 items, found 501 items'],

      [schemas.flowsQuery, { limit: '0' }, 'limit must be a whole number from 1 to 500, found "0"'],

      [schemas.openRequest, {}, 'leaved_amount is required and must be a whole number from 0 to 9007199254740991'],
      [schemas.openRequest, { leaved_amount: 5, colour: 1 }, 'colour is not a known field; known here: leaved_amount'],
    ];
    for (const [schema, input, expected] of cases) expect(messagesOf(schema, input)).to.deep.equal([expected]);
  });

  it('name each alternative once', () => {
    const either = {
      anyOf: [
        { const: 'a', type: 'string' },
        { type: 'integer', minimum: 1 },
      ],
    } as unknown as TSchema;
    expect(messagesOf(either, 'b')).to.deep.equal(['body must be "a" or a whole number, at least 1, found "b"']);
  });

  it('show texts escaped and truncated, and numbers as written', () => {
    const cases: readonly (readonly [unknown, string])[] = [
      ['a"b\n', '"a\\"b\\n"'],
      ['\u00a0\ufeff\u200b\u00ad\u2800 x', '"\\u00a0\\ufeff\\u200b\\u00ad\\u2800 x"'],
      ['\u{e0061}', '"\\udb40\\udc61"'],
      ['\ud800', '"\\ud800"'],
      ['é手😀', '"é手😀"'],
      ['😀'.repeat(61), `"${'😀'.repeat(60)}"…`],
      ['x'.repeat(60), `"${'x'.repeat(60)}"`],
      [Symbol('1e400'), '1e400'],
      [Symbol('1'.repeat(200_000)), `${'1'.repeat(60)}…`],
      [-0, '-0'],
      [Number.NaN, 'NaN'],
      [true, 'true'],
      [null, 'null'],
      [['secret'], 'a list'],
      [{ secret: 1 }, 'an object'],
    ];
    for (const [value, expected] of cases) expect(shown(value)).to.equal(expected);
  });

  it('show no secrets of the settings or of a shards file', () => {
    const secret = Object.entries(settingsSchema.properties).filter(([name]) => /TOKENS$|PASSWORD$/.test(name));
    expect(secret).to.have.length(3);
    for (const [name] of secret) {
      const checked = compileSettings(settingsSchema)({ [name]: ['hunter2'] });
      const fault = { path: name, message: 'must be a text of at least 1 characters' };
      expect(checked.ok || checked.faults).to.deep.equal([fault]);
    }
    const place = { host: 'h', port: 1, schema: 's', user: 'u', passwordVariable: 'hunter2' };
    const shard = { name: 'a', primary: place, pool: { connections: 1, waiting: 0 } };
    const all = (...shards: unknown[]) => messagesOf(shardsFileSchema, { initialShards: 1, shards }).join('\n');
    expect(all(shard)).to.match(/^shards\[0\]\.primary\.passwordVariable must be the name of an environment variable/);
    const address = all({ ...shard, primary: 'mysql://user:hunter2@host' });
    expect(address).to.contain('must be an object').and.contain('found a text');
    for (const text of [all(shard), address]) expect(text).to.not.contain('hunter2').and.not.match(RAW);
  });
});
