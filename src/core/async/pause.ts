/** Resolves after `ms` milliseconds. The platform's own timer, named once for all of `src`. */
export { setTimeout as pause } from 'node:timers/promises';
