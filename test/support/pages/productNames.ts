import type { Facts } from './facts.ts';

/** Calls: `POST /v1/returns`, or a path alone. A parameter may be a name in braces or a value. */
export function callFault(text: string, { calls }: Pick<Facts, 'calls'>): string | null | undefined {
  const [, methods, path] = /^((?:(?:GET|POST|PUT|DELETE)(?:, )?)+ )?(\/[\w{}./:-]+)(?:\?\S*)?$/.exec(text) ?? [];
  if (
    path === undefined ||
    (methods === undefined && !/^\/(v1\/|(docs|metrics|healthz|readyz|openapi\.json)$)/.test(path))
  )
    return undefined;
  // The path of a collector of traces.
  if (path === '/v1/traces') return null;
  const fitting = calls.filter((call) => patternOf(call.path).test(path));
  if (fitting.length === 0) return 'there is no call with this path';
  const missing = (methods?.match(/[A-Z]+/g) ?? []).find((method) => fitting.every((call) => call.method !== method));
  return missing === undefined ? null : `this path has no ${missing}`;
}

function patternOf(path: string): RegExp {
  return new RegExp(`^${path.replaceAll('.', '\\.').replaceAll(/:\w+/g, '[^/]+')}$`);
}

/** A status and the code of a problem: `503 overloaded`. */
export function problemFault(text: string, { problems }: Pick<Facts, 'problems'>): string | null | undefined {
  const [, status, code] = /^([45]\d\d) ([a-z_]+)$/.exec(text) ?? [];
  if (code === undefined) return undefined;
  const expected = problems.get(code);
  if (expected === undefined) return `there is no problem code ${code}`;
  return expected === Number(status) ? null : `${code} has the status ${expected}`;
}

/** Metrics. The names of MySQL schemas begin in the same way, with a number behind. */
export function metricFault(text: string, { metrics }: Pick<Facts, 'metrics'>): string | null | undefined {
  const [, name] = /^(stockgate_[a-z]\w*)(?:\{.*\})?$/.exec(text) ?? [];
  if (name === undefined) return undefined;
  return metrics.has(name) ? null : 'there is no such metric';
}

/** Stored procedures. */
export function procedureFault(text: string, { procedures }: Pick<Facts, 'procedures'>): string | null | undefined {
  const [, name] = /^(?:CALL )?(apply_\w+)(?:\(.*\))?$/.exec(text) ?? [];
  if (name === undefined) return undefined;
  return procedures.has(name) ? null : 'there is no such stored procedure';
}

/** Columns with their table in front. */
export function columnFault(text: string, { tables }: Pick<Facts, 'tables'>): string | null | undefined {
  const [, table = '', column = ''] = /^([a-z_]+)\.([a-z_]+)$/.exec(text) ?? [];
  const columns = tables.get(table);
  if (columns === undefined) return undefined;
  return columns.has(column) ? null : `the table ${table} has no column ${column}`;
}
