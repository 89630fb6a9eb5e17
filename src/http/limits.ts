import { MEDIA_LIMITS } from '../media/staging/limits.js'
import { SEARCH_LIMITS } from '../search/limits.js'
import { MOST_LABELS } from '../tagging/limits.js'

/** Defines the limits of requests. */
export const HTTP_LIMITS = Object.freeze({
  uploadBytes: 2 * 1024 ** 3,
  bodyBytes: 1024 ** 2,
  fieldBytes: 64 * 1024, // per field of a form
  uploads: 64, // in progress at the same time
  uploadBytesPerSecond: 1024, // minimum rate of an upload, measured over the window
  uploadWindowMs: 30_000,
  requestMs: 1_800_000, // for a complete request, such as a large upload on a slow line
  pageOfClips: 200,
  jobSources: 1000,
  rangeSeconds: 0.05, // minimum length of the range of a query
})

/** Lists the limits that `GET /v1/system` publishes for clients. */
export const PUBLIC_LIMITS = Object.freeze({
  uploadBytes: HTTP_LIMITS.uploadBytes,
  queryUploadBytes: SEARCH_LIMITS.queryBytes,
  bodyBytes: HTTP_LIMITS.bodyBytes,
  fieldBytes: HTTP_LIMITS.fieldBytes,
  uploads: HTTP_LIMITS.uploads,
  uploadBytesPerSecond: HTTP_LIMITS.uploadBytesPerSecond,
  clipSeconds: MEDIA_LIMITS.clipSeconds,
  querySeconds: SEARCH_LIMITS.querySeconds,
  rangeSeconds: HTTP_LIMITS.rangeSeconds,
  pictureSidePixels: MEDIA_LIMITS.pictureSidePixels,
  hits: SEARCH_LIMITS.hits,
  momentsPerHit: SEARCH_LIMITS.momentsPerHit,
  pageOfClips: HTTP_LIMITS.pageOfClips,
  jobSources: HTTP_LIMITS.jobSources,
  labels: MOST_LABELS,
})
