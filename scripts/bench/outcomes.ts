import { httpClient } from '../support/httpClient.ts';

/** Deductions answered so far, by outcome. */
export type Outcomes = ReadonlyMap<string, number>;

/** Reads the metrics of a gateway. @throws when it does not answer */
export async function readOutcomes(adminUrl: string): Promise<Outcomes> {
  const client = httpClient(1);
  try {
    const { status, text } = await client.call({ method: 'GET', url: `${adminUrl}/metrics` });
    if (status !== 200) throw new Error(`${adminUrl}/metrics: ${status}`);
    return outcomesIn(text);
  } finally {
    client.close();
  }
}

/** Parses the text format of Prometheus. */
export function outcomesIn(text: string): Outcomes {
  const series = text.matchAll(/^stockgate_requests_total\{route="POST \/v1\/deductions",outcome="(\w+)"\} (\d+)/gm);
  return new Map([...series].map(([, outcome = '', count]) => [outcome, Number(count)]));
}

/** The share of answers between two readings that have another outcome than expected, and their count by outcome. */
export function unexpected(
  before: Outcomes,
  after: Outcomes,
  expected: readonly string[],
): { share: number; others: Record<string, number> } {
  const grown = [...after]
    .map(([outcome, count]) => [outcome, count - (before.get(outcome) ?? 0)] as const)
    .filter(([, count]) => count > 0);
  const others = grown.filter(([outcome]) => !expected.includes(outcome));
  const sum = (some: typeof grown): number => some.reduce((total, [, count]) => total + count, 0);
  return { share: grown.length === 0 ? 0 : sum(others) / sum(grown), others: Object.fromEntries(others) };
}

/** The outcomes of which there was no answer between two readings. */
export function missingOutcomes(before: Outcomes, after: Outcomes, outcomes: readonly string[]): string[] {
  return outcomes.filter((outcome) => (after.get(outcome) ?? 0) === (before.get(outcome) ?? 0));
}
