import { setTimeout } from 'node:timers/promises'

const LOOK_MS = 50

/** Waits until a condition holds. After the time limit, fails with the last value. */
export async function eventually<T>(
  look: () => Promise<T> | T,
  holds: (found: T) => boolean,
  { withinMs = 10_000 } = {},
): Promise<T> {
  const until = performance.now() + withinMs
  for (;;) {
    const found = await look()
    if (holds(found)) return found
    if (performance.now() > until) {
      throw new Error(`Not so within ${withinMs} ms. Last seen: ${JSON.stringify(found)}`)
    }
    await setTimeout(LOOK_MS)
  }
}
