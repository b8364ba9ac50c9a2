import { expect } from 'chai';
import fc from 'fast-check';
import { wholeNumberOf } from '../../src/core/text/wholeNumber.ts';
import { JsonFault, parseJson } from '../../src/schema/strictJson.ts';
import { fresh, startTestGateway } from '../support/gateway/gateway.ts';
import type { TestGateway } from '../support/gateway/gateway.ts';
import { JSON_HEADERS, rawClient } from '../support/gateway/rawHttp.ts';
import { expectProblem } from '../support/engines/refusal.ts';

const RUNS = process.env['STOCKGATE_TEST_LONG'] === '1' ? 100_000 : 10_000;
const LIMIT = BigInt(Number.MAX_SAFE_INTEGER);

/** Ways to write a number: `digits` times ten to `-scale`, with the point moved and zeros added. */
const spelled = fc
  .record({
    negative: fc.boolean(),
    digits: fc.oneof(
      fc.bigInt({ min: 0n, max: 3n * LIMIT }),
      fc.bigInt({ min: LIMIT - 3n, max: LIMIT + 3n }),
      fc.bigInt({ min: 0n, max: 2_000_000n }),
    ),
    /** Digits after the decimal point of the value. */
    scale: fc.integer({ min: -3, max: 20 }),
    /** Zeros to add after the point. */
    zeros: fc.integer({ min: 0, max: 30 }),
    /** How far the exponent moves the point; null: no exponent is written. */
    exponent: fc.oneof(fc.constant(null), fc.integer({ min: -40, max: 40 })),
    form: fc.constantFrom('e', 'E', 'e+', 'E+', 'e0', 'e+00'),
  })
  .map(({ negative, digits, scale, zeros, exponent, form }) => {
    const shift = exponent ?? 0;
    const sign = negative ? '-' : '';
    const text = sign + written(digits, scale + shift, zeros) + (exponent === null ? '' : withExponent(shift, form));
    return { text, digits: negative ? -digits : digits, scale };
  });

/** `digits` divided by ten to the power of `places`, written in decimals. */
function written(digits: bigint, places: number, zeros: number): string {
  const all = places <= 0 ? String(digits * 10n ** BigInt(-places)) : String(digits).padStart(places + 1, '0');
  const point = places <= 0 ? all.length : all.length - places;
  const fraction = all.slice(point) + '0'.repeat(zeros);
  return all.slice(0, point) + (fraction === '' ? '' : `.${fraction}`);
}

function withExponent(exponent: number, form: string): string {
  return exponent < 0 ? `${form.charAt(0)}-${form.includes('0') ? '00' : ''}${-exponent}` : `${form}${exponent}`;
}

/** The value by BigInt arithmetic; null if it is not a whole number in the range. */
function exactly({ digits, scale }: { digits: bigint; scale: number }): number | null {
  const divisor = 10n ** BigInt(Math.max(0, scale));
  const value = digits * 10n ** BigInt(Math.max(0, -scale));
  if (value % divisor !== 0n) return null;
  const whole = value / divisor;
  return whole >= -LIMIT && whole <= LIMIT ? Number(whole) : null;
}

describe('numbers in JSON texts', () => {
  it('count as whole exactly where BigInt arithmetic gives a whole number', () => {
    let accepted = 0;
    fc.assert(
      fc.property(spelled, (number) => {
        const expected = exactly(number);
        if (expected !== null) accepted += 1;
        expect(JSON.parse(number.text), number.text).to.be.a('number');
        expect(wholeNumberOf(number.text), number.text).to.equal(expected);
        const { quantity } = parseJson(`{"quantity":${number.text}}`) as { quantity: unknown };
        const found = typeof quantity === 'symbol' ? quantity.description : quantity;
        expect(found, number.text).to.equal(expected ?? number.text);
      }),
      { numRuns: RUNS },
    );
    expect(accepted).to.be.within(RUNS / 20, RUNS - RUNS / 20);
  });

  it('are parsed in time proportional to their length', () => {
    const cases: readonly (readonly [string, number | null])[] = [
      [`0.${'0'.repeat(200_000)}1`, null],
      [`1${'0'.repeat(200_000)}`, null],
      [`1${'0'.repeat(200_000)}e-200000`, 1],
      [`0.${'0'.repeat(199_999)}1e200000`, 1],
      [`0e${'9'.repeat(200_000)}`, 0],
      [`1e-${'9'.repeat(200_000)}`, null],
      [`1e${'0'.repeat(200_000)}2`, 100],
    ];
    // Work that grows with the square of the length would take minutes here.
    for (const [text, expected] of cases) expect(wholeNumberOf(text), text.slice(0, 20)).to.equal(expected);
  });

  it('leave the rest of a body unchanged', () => {
    const members = [
      '"a":true,"b":false,"c":null',
      '"1.5e3":"0.1e5 \\"2.5\\" \\\\"',
      '"__proto__":{"x":[1.0,[],{}]}',
      '"d":[10e-1,-0.0]',
    ];
    const text = `{${members.join()}}`;
    const value = parseJson(text) as Record<string, unknown>;
    expect(JSON.stringify(value)).to.equal(JSON.stringify(JSON.parse(text)));
    expect(Object.keys(value)).to.include('__proto__');
    expect(Object.getPrototypeOf(value)).to.equal(Object.prototype);
  });

  it('are rejected deep inside a body, without a crash', () => {
    const nested = (inner: string, depth: number): string => '['.repeat(depth) + inner + ']'.repeat(depth);
    expect(parseJson(nested('1.0', 50))).to.be.an('array');
    for (const number of ['1.5', '1e0', '9007199254740993']) {
      expect(() => parseJson(nested(number, 100_000))).to.throw(JsonFault, 'more than 100 levels');
      const wide = `[${Array(10_000).fill(number).join()}]`;
      expect(parseJson(wide)).to.have.length(10_000);
    }
  });

  describe('over HTTP', () => {
    const client = rawClient();
    let gateway: TestGateway;
    before(async () => {
      gateway = await startTestGateway();
    });
    after(async () => {
      client.close();
      await gateway.stop();
    });

    const ONE = ['1', '1.0', '1e0', '1E0', '10e-1', '0.1e1', '1.000000000000000000000000'];
    const NOT_ONE = ['0.99999999999999999', '1.00000000000000001', '1.5', '1e-1', '99999999999999999e-17', '1e400'];
    const send = (listener: 'public' | 'admin', method: string, path: string, body: string) => {
      const base = listener === 'public' ? gateway.publicUrl : gateway.adminUrl;
      return client.call(base, { method, path, headers: JSON_HEADERS, body });
    };
    const order = (sku: string, quantity: string) =>
      `{"order_id":"o","lines":[{"order_detail_id":"d","sku_id":"${sku}","quantity":${quantity}}]}`;

    it('are checked in every number field of every call', async () => {
      const sku = fresh('exact');
      const goods = `"return_id":"r","order_detail_id":"d","sku_id":"${sku}"`;
      const calls = [
        ['public', 'POST', '/v1/deductions', order(sku, '*'), 'lines[0].quantity'],
        ['public', 'POST', '/v1/returns', `{${goods},"quantity":*}`, 'quantity'],
        ['admin', 'POST', `/v1/skus/${sku}/adjustments`, '{"adjustment_id":"a","delta":*}', 'delta'],
        ['admin', 'PUT', `/v1/skus/${fresh('opened')}`, '{"leaved_amount":*}', 'leaved_amount'],
      ] as const;
      await gateway.openSku(sku, 5);
      for (const [listener, method, path, body, field] of calls) {
        for (const number of NOT_ONE) {
          const answer = await send(listener, method, path, body.replace('*', number));
          expectProblem(answer, 400, field);
          const { detail } = answer.body as { detail: string };
          expect(detail.startsWith(`${field} must be a whole number from `), detail).to.equal(true);
          expect(detail.endsWith(` found ${number}`), detail).to.equal(true);
        }
        const statuses = [];
        for (const number of ONE) statuses.push((await send(listener, method, path, body.replace('*', number))).status);
        expect(statuses, path).to.deep.equal([201, ...Array(ONE.length - 1).fill(200)]);
      }
      const hot = await send('admin', 'PUT', `/v1/skus/${sku}/hot`, '{"sub_rows":1.99999999999999999999}');
      expectProblem(hot, 400, 'sub_rows');
      // One unit was deducted, one returned, one restocked.
      expect((await gateway.get(`/v1/skus/${sku}`)).body.leaved_amount).to.equal(6);
    });

    it('are rejected above a limit, even by a fraction that a double would round away', async () => {
      for (const quantity of ['1000000.0000000000001', '1000001', '1000000.9']) {
        expectProblem(await send('public', 'POST', '/v1/deductions', order('s', quantity)), 400, 'lines[0].quantity');
      }
      const path = `/v1/skus/${fresh('limit')}`;
      const open = (amount: string) => send('admin', 'PUT', path, `{"leaved_amount":${amount}}`);
      for (const amount of ['9007199254740991.4', '9007199254740992', '9007199254740993', '-0.1']) {
        const answer = await open(amount);
        expectProblem(answer, 400, 'leaved_amount');
        const rule = 'leaved_amount must be a whole number from 0 to 9007199254740991';
        expect(answer.body.detail).to.equal(`${rule}, found ${amount}`);
      }
      expect((await open('9007199254740991.0')).status).to.equal(201);
    });

    it('are rejected in a body that is nested too deep, with one clear answer', async () => {
      const body = `{"order_id":"o","lines":[],"unknown":${'['.repeat(100_000)}0.1${']'.repeat(100_000)}}`;
      expectProblem(await send('public', 'POST', '/v1/deductions', body), 400, 'body');
      expect((await gateway.get('/v1/skus/none')).status).to.equal(404);
    });
  });
});
