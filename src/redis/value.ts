import { createHmac, timingSafeEqual } from 'node:crypto';
import type { ReadingRow, StockReading } from '../core/precheck/stockReading.ts';

/** The value under the key of a SKU: a stock reading whose moment is on the node's clock. */
export interface StoredReading extends Omit<StockReading, 'asOfMs'> {
  /** The moment of the reading, in microseconds since 1970, on the clock of that run of the node. */
  readonly asOfMicros: number;
  /** 40 hexadecimal digits that name the run of the node. */
  readonly run_id: string;
  /** 32 hexadecimal digits: the era of the partition. */
  readonly era: string;
}

/** The prefix and the secret that a value is signed with. */
export interface Signer {
  /** A signature is valid only under its own prefix. */
  readonly keyPrefix: string;
  readonly secret: Buffer;
}

const NUMBER = '\\d{1,16}';
const ROW = `\\d{1,6}:\\d{1,6}:${NUMBER}`;
/**
 * Version of this format, version of the SKU, moment, run, era, mode, units left, whether it is empty, rows, SKU,
 * signature.
 */
const FORM = new RegExp(
  `^(1\\|(${NUMBER})\\|(${NUMBER})\\|([0-9a-f]{40})\\|([0-9a-f]{32})\\|(single|hot)\\|(-|${NUMBER})\\|([01])` +
    `\\|((?:${ROW}(?:,${ROW})*)?)\\|([0-9a-f]{2,128}))\\|([0-9a-f]{64})$`,
);

/** Encodes a reading as it is stored. The numbers that `store.lua` compares come first. */
export function encodeReading(reading: StoredReading, signer: Signer): string {
  const { version, asOfMicros, run_id, era, mode, leaved_amount, isEmpty } = reading;
  const rows = reading.rows.map(({ shard, sub_row, leaved_amount: left }) => `${shard}:${sub_row}:${left}`).join(',');
  const text = [
    '1',
    version,
    asOfMicros,
    run_id,
    era,
    mode,
    leaved_amount ?? '-',
    isEmpty ? 1 : 0,
    rows,
    Buffer.from(reading.sku_id, 'utf8').toString('hex'),
  ].join('|');
  return `${text}|${signatureOf(text, signer).toString('hex')}`;
}

/** @returns null unless `encodeReading` wrote the text for this SKU with this prefix and secret */
export function decodeReading(text: string, sku_id: string, signer: Signer): StoredReading | null {
  const [
    ,
    signed = '',
    version,
    micros,
    run_id = '',
    era = '',
    mode,
    left,
    empty,
    rowTexts = '',
    sku = '',
    signature = '',
  ] = FORM.exec(text) ?? [];
  if (!timingSafeEqual(signatureOf(signed, signer), Buffer.from(signature.padEnd(64, '0'), 'hex'))) return null;
  if (sku !== Buffer.from(sku_id, 'utf8').toString('hex')) return null;
  const rows = rowTexts === '' ? [] : rowTexts.split(',').map(rowOf);
  const leaved_amount = left === '-' ? null : Number(left);
  const numbers = [Number(version), Number(micros), leaved_amount ?? 0, ...rows.map((row) => row.leaved_amount)];
  if (!numbers.every(Number.isSafeInteger)) return null;
  return {
    sku_id,
    leaved_amount,
    isEmpty: empty === '1',
    version: Number(version),
    mode: mode === 'hot' ? 'hot' : 'single',
    rows,
    asOfMicros: Number(micros),
    run_id,
    era,
  };
}

function rowOf(text: string): ReadingRow {
  const [shard = NaN, sub_row = NaN, leaved_amount = NaN] = text.split(':').map(Number);
  return { shard, sub_row, leaved_amount };
}

function signatureOf(text: string, { keyPrefix, secret }: Signer): Buffer {
  return createHmac('sha256', secret).update(`${keyPrefix}\n${text}`).digest();
}
