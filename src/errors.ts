/**
 * The catalogue of errors. Each error that a user can get has a stable code. http/problems.ts
 * defines the HTTP status of each code. docs/errors.md and openapi.yaml describe the codes. A test
 * compares the four lists.
 */
export const ERROR_TITLES = {
  FILE_NOT_FOUND: 'No such file',
  FILE_UNREADABLE: 'The file cannot be read',
  MEDIA_EMPTY: 'The file has no bytes',
  MEDIA_IS_TEXT: 'The file is text, not media',
  MEDIA_IS_ARCHIVE: 'The file is an archive, not media',
  MEDIA_IS_PLAYLIST: 'The file is a playlist, which would open other files',
  MEDIA_NOT_RECOGNISED: 'The file is not in a known media format',
  MEDIA_FORMAT_REFUSED: 'The media format is not among those allowed',
  MEDIA_HEIF_UNSUPPORTED: 'The HEIC or AVIF picture is of a kind that cannot be opened',
  MEDIA_DAMAGED: 'The file is truncated or damaged and cannot be decoded',
  MEDIA_NO_CONTENT: 'Nothing can be heard or seen in the file',
  MEDIA_TOO_SMALL: 'The picture is too small',
  MEDIA_TOO_LONG: 'The media is longer than allowed',
  MEDIA_TOO_LARGE: 'Decoding the media takes more memory or time than allowed',
  MEDIA_STALLED: 'Decoding made no progress and was stopped',
  FFMPEG_MISSING: 'ffmpeg is not installed',
  BUNDLE_INVALID: 'The bundle is incomplete, changed or of another format',
  PROVIDER_UNAVAILABLE: 'None of the requested execution providers is available',
  ENCODER_FAILED: 'The encoder failed',
  ENCODER_RESTARTING: 'The encoder is restarting',
  FINGERPRINT_MISMATCH: 'The embeddings come from another bundle',
  DATA_UNUSABLE: 'The data folder cannot be used',
  DATA_LOCKED: 'Another process writes to the library',
  DATA_NOT_EMPTY: 'The data folder already contains a library',
  DISK_FULL: 'The disk is full',
  BACKUP_INVALID: 'The file is no backup of a library',
  GALLERY_RETIRED: 'The library has changed to another bundle',
  ADDRESS_UNAVAILABLE: 'The server cannot listen on the address',
  ADDRESS_EXPOSED: 'Other machines could use the server without a key',
  HOST_NOT_ALLOWED: 'The server is not known by this name',
  ORIGIN_NOT_ALLOWED: 'The request comes from another site',
  METHOD_NOT_ALLOWED: 'The method is not allowed here',
  PRECONDITION_FAILED: 'A precondition does not hold',
  EXPECTATION_FAILED: 'The expectation of the request is not supported',
  CATALOGUE_NEWER: 'The catalogue was written by a newer Earshot',
  CLIP_NOT_FOUND: 'No such clip',
  CLIP_FILE_MISSING: 'The file of the clip is missing',
  CLIP_HAS_NO_PICTURE: 'The clip has no picture',
  JOB_NOT_FOUND: 'No such job',
  JOB_STATE: 'The state of the job does not allow the action',
  JOB_KEY_REUSED: 'The idempotency key belongs to another job',
  ITEM_INTERRUPTED: 'The work on the file was interrupted too often',
  QUERY_AMBIGUOUS: 'The query is ambiguous',
  QUERY_LACKS_MODALITY: 'The query has nothing of the modality to search from',
  MODALITY_NOT_SERVED: 'The bundle has no graph for the request',
  EMBEDDING_SIZE: 'The embedding has the wrong size',
  RANGE_EMPTY: 'Nothing of the query is in the range',
  REQUEST_INVALID: 'The request is not well formed',
  REQUEST_TYPE_UNSUPPORTED: 'The content type of the request is not supported',
  UPLOAD_TOO_LARGE: 'The upload is larger than allowed',
  RANGE_NOT_SATISFIABLE: 'The range is outside the file',
  PATH_NOT_ALLOWED: 'The path is not under an allowed root',
  ROUTE_NOT_FOUND: 'No such route',
  CONFIG_INVALID: 'The configuration is wrong',
  USAGE: 'The command line is wrong',
  GLOB_INVALID: 'A glob cannot be read',
  TEMP_UNUSABLE: 'The folder for temporary files cannot be used',
  LIBRARY_MISSING: 'There is no library in the data folder',
  SERVER_BUSY: 'Too much work is already waiting',
  UPLOAD_TOO_SLOW: 'The upload arrives too slowly',
  SYSTEM_BUSY: 'The system is out of open files or processes',
  SHUTTING_DOWN: 'The server is shutting down',
  INTERNAL: 'Something failed inside Earshot',
} as const

/** One of the keys of ERROR_TITLES. */
export type ErrorCode = keyof typeof ERROR_TITLES

/**
 * An error that a user can act on. The message states what was expected, what was found, and what
 * to do.
 */
export class AppError extends Error {
  override readonly name = 'AppError'

  constructor(
    readonly code: ErrorCode,
    detail: string,
    options?: { readonly cause?: unknown },
  ) {
    super(detail, options)
  }
}

/**
 * Returns the error for a file that cannot be opened: FILE_NOT_FOUND, FILE_UNREADABLE or
 * SYSTEM_BUSY.
 */
export function fileError(path: string, cause: unknown): AppError {
  if (isNotFound(cause)) return new AppError('FILE_NOT_FOUND', `No file at ${path}`, { cause })
  if (isBusy(cause)) return toAppError(cause)
  const reason = (cause as NodeJS.ErrnoException).code ?? String(cause)
  return new AppError('FILE_UNREADABLE', `${path} cannot be read (${reason})`, { cause })
}

/** Returns whether the system reports that a path, or a folder of the path, does not exist. */
export const isNotFound = (error: unknown): boolean =>
  ['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')

/** Returns whether the system or SQLite reports a full disk. */
export const isDiskFull = (error: unknown): boolean =>
  ['ENOSPC', 'EDQUOT', 'SQLITE_FULL', 'SQLITE_IOERR_SHMSIZE'].includes(
    (error as NodeJS.ErrnoException).code ?? '',
  )

/**
 * Returns whether the system is out of open files, processes or memory. Such an error is
 * independent of the request.
 */
export const isBusy = (error: unknown): boolean =>
  ['EMFILE', 'ENFILE', 'EAGAIN', 'ENOMEM'].includes((error as NodeJS.ErrnoException).code ?? '')

/**
 * Returns any thrown value as an AppError. System errors become DISK_FULL or SYSTEM_BUSY. All other
 * values become INTERNAL.
 */
export function toAppError(error: unknown): AppError {
  if (error instanceof AppError) return error
  if (isSuppressed(error)) return toAppError(error.suppressed)
  const detail = error instanceof Error ? error.message : String(error)
  return isDiskFull(error)
    ? diskFull(detail, error)
    : isBusy(error)
      ? busy(detail, error)
      : internal(detail, error)
}

/**
 * Returns whether an error occurred while another error caused a close. The first error is
 * `suppressed`.
 */
function isSuppressed(error: unknown): error is { readonly suppressed: unknown } {
  return error instanceof Error && error.name === 'SuppressedError' && 'suppressed' in error
}

function diskFull(detail: string, cause: unknown): AppError {
  const message =
    `The disk is full (${detail}). All acknowledged changes are stored. ` +
    'Free some space and start again.'
  return new AppError('DISK_FULL', message, { cause })
}

function busy(detail: string, cause: unknown): AppError {
  const message =
    `The system is out of resources (${detail}). ` +
    'Raise its limits (ulimit -n, ulimit -u), or lower --concurrency.'
  return new AppError('SYSTEM_BUSY', message, { cause })
}

const internal = (detail: string, cause: unknown): AppError =>
  new AppError('INTERNAL', detail, { cause })
