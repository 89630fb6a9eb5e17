import { setMaxListeners } from 'node:events'
import type { FastifyReply } from 'fastify'

/** Aborts when the client goes away before it has its answer, so that nothing is decoded for nobody. */
export function closedEarly(reply: FastifyReply): AbortSignal {
  const controller = new AbortController()
  setMaxListeners(0, controller.signal) // one for every frame on its way
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) controller.abort()
  })
  return controller.signal
}
