import { expect } from 'chai';
import { REFUSAL_CODES } from '../../src/core/outcome.ts';
import type { RefusalCode, RefusedLine } from '../../src/core/outcome.ts';
import { failureReply } from '../../src/http/failureReply.ts';
import type { Answer } from '../../scripts/support/httpClient.ts';
import { fresh, startTestGateway } from '../support/gateway/gateway.ts';
import type { TestGateway } from '../support/gateway/gateway.ts';
import { skusOnOneShard } from '../support/engines/traffic.ts';

describe('the detail of a refusal', () => {
  let gateway: TestGateway;
  before(async () => {
    gateway = await startTestGateway();
  });
  after(() => gateway.stop());

  const detailOf = ({ body }: Answer): string => body.detail as string;
  const line = (order_detail_id: string, sku_id: string, quantity: number) => ({ order_detail_id, sku_id, quantity });
  const deduct = (...lines: ReturnType<typeof line>[]) => gateway.post('/v1/deductions', { order_id: 'o', lines });

  it('names the refused line, the units requested and the units left', async () => {
    const sku = fresh('phone');
    await gateway.openSku(sku, 3);
    const expected = `order line "o-2-1" of SKU "${sku}": insufficient_stock, 4 requested, 3 left; nothing was changed`;
    expect(detailOf(await deduct(line('o-2-1', sku, 4)))).to.equal(expected);
  });

  it('counts the refused lines, and names the first of the code of the answer', async () => {
    const { sku_ids } = skusOnOneShard(fresh('refused'), 3);
    const [known = '', unknown = '', plenty = ''] = sku_ids;
    for (const sku of [known, plenty]) await gateway.openSku(sku, 3);
    const detail = detailOf(await deduct(line('a', known, 4), line('b', unknown, 1), line('c', plenty, 1)));
    expect(detail).to.equal(
      `2 of 3 lines were refused, the first: order line "b" of SKU "${unknown}": unknown_sku, ` +
        'no SKU has this sku_id; open it first; nothing was changed',
    );
  });

  it('escapes invisible characters of an id', async () => {
    const id = `${fresh('bidi')}\u202eb\u00a0c`;
    expect(detailOf(await deduct(line('d', id, 1)))).to.contain('\\u202eb\\u00a0c": unknown_sku');
    expect(detailOf(await gateway.get(`/v1/skus/${encodeURIComponent(id)}`))).to.contain('\\u202eb\\u00a0c"');
    const found = await gateway.get(`/v1/deductions/d?sku_id=${encodeURIComponent(id)}`);
    expect(detailOf(found)).to.contain('\\u202eb\\u00a0c" has the order_detail_id "d"');
  });

  it('names the units that can still be returned', async () => {
    const sku = fresh('returned');
    await gateway.openSku(sku, 3);
    await gateway.deduct(line('d', sku, 2));
    const goods = { return_id: 'r', order_detail_id: 'd', sku_id: sku, quantity: 3 };
    const over = await gateway.post('/v1/returns', goods);
    expect(over.body).to.include({ code: 'over_return', returnable: 2 });
    expect(detailOf(over)).to.equal('3 requested, 2 can still be returned; nothing was changed');
    const none = await gateway.post('/v1/returns', { ...goods, order_detail_id: 'none' });
    expect(detailOf(none)).to.match(/^no deduction has this sku_id/);
  });

  it('is a sentence of its own for every refusal', () => {
    const replyTo = (code: RefusalCode, lines: readonly RefusedLine[]) =>
      JSON.parse(failureReply({ is: 'refused', code, lines }).body).detail as string;
    const details = REFUSAL_CODES.map((code) => replyTo(code, []));
    for (const detail of details) expect(detail).to.match(/^.{15,}; nothing was changed$/);
    expect(new Set(details)).to.have.property('size', REFUSAL_CODES.length);
    const lines = REFUSAL_CODES.map((code) => replyTo(code, [{ ...line('d', 's', 1), code }]));
    for (const detail of lines)
      expect(detail).to.match(/^order line "d" of SKU "s": \w+, .{15,}; nothing was changed$/);
  });
});
