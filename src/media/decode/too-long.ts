import { AppError } from '../../errors.js'
import { MEDIA_LIMITS } from '../staging/limits.js'

export function tooLong(longestSeconds: number = MEDIA_LIMITS.clipSeconds): AppError {
  const isHours = longestSeconds >= 3600
  const longest = isHours ? `${longestSeconds / 3600} h` : `${longestSeconds} s`
  const detail = `Expected at most ${longest} of media, got more${isHours ? '' : ': choose a range of it'}.`
  return new AppError('MEDIA_TOO_LONG', detail)
}
