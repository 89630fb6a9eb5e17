/** Limits of queries and answers. */
export const SEARCH_LIMITS = Object.freeze({
  querySeconds: 600,
  queryBytes: 512 * 1024 ** 2, // of a file that is asked with
  hits: 200,
  momentsPerHit: 5,
})
