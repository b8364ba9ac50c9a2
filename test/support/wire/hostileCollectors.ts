import type { Behaviour } from './collector.ts';

/** Behaviours of a collector that must not disturb a gateway; null: nothing listens at its address. */
export const HOSTILE: readonly [what: string, behaviour: Behaviour | null][] = [
  ['is down', null],
  ['is silent', () => undefined],
  [
    'requests every batch again',
    (_request, response) => void response.writeHead(503, { 'retry-after': '0' }).end('no'.repeat(100_000)),
  ],
  [
    'answers without end',
    (_request, response) => {
      response.writeHead(200);
      const more = setInterval(() => void response.write('x'.repeat(100_000)), 1);
      response.on('close', () => clearInterval(more)).on('error', () => undefined);
    },
  ],
  ['sends an invalid answer', (_request, response) => void response.writeHead(200).end('{'.repeat(1_000))],
];
