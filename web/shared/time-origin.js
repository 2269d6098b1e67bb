/**
 * When performance.now() was 0 here, ms since the epoch. Safari before 15 does not say it. A worker
 * has another one than its page.
 */
export const TIME_ORIGIN = performance.timeOrigin || Date.now() - performance.now();
