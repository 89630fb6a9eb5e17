import { setImmediate } from 'node:timers/promises'

const BREATH_MS = 8

/** Long synchronous work calls it between steps: it lets the event loop turn when some milliseconds have passed. */
export function breath(): () => Promise<void> | undefined {
  let last = performance.now()
  return () => {
    if (performance.now() - last < BREATH_MS) return undefined
    return setImmediate().then(() => {
      last = performance.now()
    })
  }
}
