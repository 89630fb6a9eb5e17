import { setMaxListeners } from 'node:events'
import type { FastifyReply } from 'fastify'

/** Returns a signal that aborts when the client disconnects before the response is complete. */
export function abortOnDisconnect({ raw }: FastifyReply): AbortSignal {
  const controller = new AbortController()
  setMaxListeners(0, controller.signal) // each frame that waits for the encoder adds a listener
  const leave = () => {
    if (!raw.writableFinished) controller.abort()
  }
  if (!raw.socket || raw.socket.destroyed)
    leave() // the client left before the handler began
  else raw.once('close', leave)
  return controller.signal
}
