import { setMaxListeners } from 'node:events'
import type { FastifyReply } from 'fastify'

/** Aborts when the client leaves before it has its answer, so that no work is done for nobody. */
export function abortOnDisconnect({ raw }: FastifyReply): AbortSignal {
  const controller = new AbortController()
  setMaxListeners(0, controller.signal) // one for each frame that waits for the encoder
  const leave = () => {
    if (!raw.writableFinished) controller.abort()
  }
  if (!raw.socket || raw.socket.destroyed)
    leave() // before the handler began
  else raw.once('close', leave)
  return controller.signal
}
