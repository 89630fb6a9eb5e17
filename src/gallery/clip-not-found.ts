import type { ClipId } from '../domain.js'
import { AppError } from '../errors.js'

export function clipNotFound(id: ClipId): AppError {
  return new AppError('CLIP_NOT_FOUND', `The library has no clip ${id}.`)
}
