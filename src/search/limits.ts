/** Limits of queries and of their results. */
export const SEARCH_LIMITS = Object.freeze({
  querySeconds: 600,
  queryBytes: 512 * 1024 ** 2, // of a query file
  hits: 200,
  momentsPerHit: 5,
})
