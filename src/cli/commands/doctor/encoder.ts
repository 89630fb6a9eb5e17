import type { Encoder } from '../../../encoder/encoder.js'
import { measureEncoder } from '../../../encoder/measure.js'
import { type Finding, findingOf } from './finding.js'

/** Yields findings about the execution provider and the speed of an encoder. */
export async function* checkEncoder(encoder: Encoder): AsyncGenerator<Finding> {
  yield { check: 'provider', ok: true, detail: providerOf(encoder) }
  yield await findingOf('encoder', async () => {
    const rate = await measureEncoder(encoder)
    return `${rate.toFixed(1)} segments/s, golden numbers reproduced`
  })
}

function providerOf({ providers: { inUse, refused } }: Encoder): string {
  const reasons = refused.map(({ provider, reason }) => `${provider} cannot be used: ${reason}`)
  return [`${inUse} in use`, ...reasons].join('; ')
}
