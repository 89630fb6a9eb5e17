import { setImmediate } from 'node:timers/promises'

const SLICE_MS = 8

/**
 * Returns a function that long synchronous work calls between steps. After `sliceMs` milliseconds,
 * the function yields to the event loop.
 */
export function cooperativeYield(sliceMs = SLICE_MS): () => Promise<void> | undefined {
  let last = performance.now()
  return () => {
    if (performance.now() - last < sliceMs) return undefined
    return setImmediate().then(() => {
      last = performance.now()
    })
  }
}
