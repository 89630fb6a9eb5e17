import { setImmediate } from 'node:timers/promises'

const SLICE_MS = 8

/**
 * Long synchronous work calls it between steps: it lets the event loop turn when `sliceMs`
 * milliseconds have passed.
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
