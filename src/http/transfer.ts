import type { FastifyRequest } from 'fastify'
import { AppError } from '../errors.js'
import { HTTP_LIMITS } from './limits.js'

export interface Transfer extends Disposable {
  /** Aborts when the client leaves, sends too slowly, or sends what the form parser cannot take. */
  readonly signal: AbortSignal
}

interface TransferLimits {
  readonly tickMs: number
  readonly ticks: number // of the window over which the rate is measured
  readonly bytesPerSecond: number
}

const UPLOAD_LIMITS: TransferLimits = {
  tickMs: HTTP_LIMITS.uploadWindowMs / 6,
  ticks: 6,
  bytesPerSecond: HTTP_LIMITS.uploadBytesPerSecond,
}

/**
 * Watches the body of a request arrive. Its signal aborts with UPLOAD_TOO_SLOW if the body arrives
 * slower than allowed, with REQUEST_INVALID if the form parser stops reading for good.
 */
export function watchTransfer(
  { raw }: Pick<FastifyRequest, 'raw'>,
  left: AbortSignal,
  limits = UPLOAD_LIMITS,
): Transfer {
  const refused = new AbortController()
  const { tickMs, ticks, bytesPerSecond } = limits
  const least = (bytesPerSecond * tickMs * ticks) / 1000
  const arrived: number[] = [] // bytes, by tick
  let before = raw.socket.bytesRead
  const check = () => {
    arrived.unshift(raw.socket.bytesRead - before)
    before = raw.socket.bytesRead
    arrived.length = Math.min(arrived.length, ticks)
    const isIdle = arrived.length > 1 && arrived[0] === 0 && arrived[1] === 0
    if (isIdle && (raw.complete || raw.readableLength > 0)) refused.abort(unread())
    const isSlow = arrived.length === ticks && sum(arrived) < least
    if (isSlow && !raw.complete) refused.abort(tooSlow(limits))
  }
  const timer = setInterval(check, tickMs)
  return {
    signal: AbortSignal.any([left, refused.signal]),
    [Symbol.dispose]() {
      clearInterval(timer)
    },
  }
}

const sum = (numbers: readonly number[]): number => numbers.reduce((sum, number) => sum + number, 0)

function tooSlow({ bytesPerSecond }: TransferLimits): AppError {
  const detail = `An upload has to arrive with at least ${bytesPerSecond} bytes a second.`
  return new AppError('UPLOAD_TOO_SLOW', detail)
}

function unread(): AppError {
  const detail = 'A part of the form has no usable Content-Disposition: name the file part "file".'
  return new AppError('REQUEST_INVALID', detail)
}
