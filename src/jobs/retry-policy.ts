import type { ErrorCode } from '../errors.js'

/** Codes of temporary failures. The job retries the file. */
const TEMPORARY: ReadonlySet<string> = new Set<ErrorCode>([
  'FILE_UNREADABLE',
  'MEDIA_STALLED',
  'ENCODER_FAILED',
  'ENCODER_RESTARTING',
  'ITEM_INTERRUPTED',
  'SYSTEM_BUSY',
  'INTERNAL',
])

/** Returns whether a failure is temporary. */
export const isTemporary = (code: string): boolean => TEMPORARY.has(code)

/**
 * Returns whether a later job retries the file. All other failures are caused by the file and stay
 * until the file changes.
 */
export const isWorthRetrying = (code: string): boolean =>
  code === 'FILE_NOT_FOUND' || isTemporary(code)

/**
 * Codes of failures that would affect every file. The job stops until a person has fixed the cause.
 */
const STOPPING: ReadonlySet<string> = new Set<ErrorCode>([
  'FFMPEG_MISSING',
  'DISK_FULL',
  'TEMP_UNUSABLE',
  'DATA_UNUSABLE',
  'GALLERY_RETIRED',
])

/** Returns whether a failure stops the job. */
export const stopsJob = (code: string): boolean => STOPPING.has(code)
