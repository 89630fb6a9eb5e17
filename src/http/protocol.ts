import type { FastifyInstance, FastifyRequest } from 'fastify'
import { AppError } from '../errors.js'

/** Disables the check of `Host` in node, which sends an error without a body. */
export const NODE_OPTIONS = { requireHostHeader: false } as const

/** Passes requests with an unknown `Expect` to fastify. Otherwise node answers without a body. */
export function passOnExpectations({ server }: FastifyInstance): void {
  server.on('checkExpectation', (request, response) => server.emit('request', request, response))
}

/** Refuses requests that HTTP/1.1 does not allow. Throws REQUEST_INVALID, EXPECTATION_FAILED. */
export function refuseMalformed({ headers: { host, expect }, raw }: FastifyRequest): void {
  if (raw.httpVersion !== '1.1') return
  if (host === undefined) throw new AppError('REQUEST_INVALID', 'Expected a Host header, got none.')
  if (expect === undefined || CONTINUE.test(expect)) return
  const detail = `Expected no Expect header, or 100-continue, got "${expect.slice(0, 100)}".`
  throw new AppError('EXPECTATION_FAILED', detail)
}

const CONTINUE = /\b100-continue\b/i // node sends 100 Continue
