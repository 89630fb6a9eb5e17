import type { ErrorCode } from '../errors.js'

/** Reasons that may pass within a job, in which the file is tried again. */
const TEMPORARY: ReadonlySet<string> = new Set<ErrorCode>([
  'FILE_UNREADABLE',
  'MEDIA_STALLED',
  'ENCODER_FAILED',
  'ENCODER_RESTARTING',
  'ITEM_INTERRUPTED',
  'SYSTEM_BUSY',
  'INTERNAL',
])

export const isTemporary = (code: string): boolean => TEMPORARY.has(code)

/** Whether a later job should try the file again. All other reasons are the file's own fault, as long as it is as it was. */
export const isWorthRetrying = (code: string): boolean =>
  code === 'FILE_NOT_FOUND' || isTemporary(code)

/** Reasons that every file would fail for: the job stops until someone has seen to it. */
const STOPPING: ReadonlySet<string> = new Set<ErrorCode>([
  'FFMPEG_MISSING',
  'DISK_FULL',
  'TEMP_UNUSABLE',
  'DATA_UNUSABLE',
  'GALLERY_RETIRED',
])

export const stopsJob = (code: string): boolean => STOPPING.has(code)
