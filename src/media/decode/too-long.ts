import { AppError } from '../../errors.js'
import { MEDIA_LIMITS } from '../staging/limits.js'

/** Creates MEDIA_TOO_LONG, for media longer than `maxSeconds`. */
export function tooLong(maxSeconds: number = MEDIA_LIMITS.clipSeconds): AppError {
  const isHours = maxSeconds >= 3600
  const max = isHours ? `${maxSeconds / 3600} h` : `${maxSeconds} s`
  const advice = isHours ? '' : ': choose a range of it'
  return new AppError('MEDIA_TOO_LONG', `Expected at most ${max} of media, got more${advice}.`)
}
