import { openLibraryOrEmpty } from '../../../app/library.js'
import { classifyFiles } from '../../../ingest/scan/classify.js'
import { SkippedFiles } from '../../../ingest/scan/skipped-files.js'
import type { JobRequest, SkippedExtensions } from '../../../jobs/jobs.js'
import { EXIT, type ExitCode } from '../../exit-codes.js'
import type { Invocation } from '../../invocation.js'
import { printable } from '../../printable.js'
import { formatSkipped } from './report.js'

interface Plan {
  readonly todo: readonly string[]
  readonly unchanged: number
  readonly quarantined: number
  readonly skipped: SkippedExtensions
}

type Context = Pick<Invocation, 'config' | 'output'>

/** Prints the files that a request would index. */
export async function dryRun(request: JobRequest, context: Context): Promise<ExitCode> {
  const plan = await planOf(request, context)
  context.output.result(plan, () => formatPlan(plan))
  return EXIT.ok
}

async function planOf(request: JobRequest, { config, output }: Context): Promise<Plan> {
  await using library = await openLibraryOrEmpty(config)
  const todo: string[] = []
  const counts = { unchanged: 0, quarantined: 0 }
  const skipped = new SkippedFiles()
  const options = {
    except: [config.library.dataDir],
    onWarning: (detail: string) => output.message(printable(detail)),
    onSkipped: (extension: string) => skipped.add(extension),
  }
  for await (const found of classifyFiles(request, library, options)) {
    todo.push(...found.todo.map(({ path }) => path))
    counts.unchanged += found.unchanged.length
    counts.quarantined += found.quarantined.length
  }
  return { todo, ...counts, skipped: skipped.counts }
}

function formatPlan({ todo, unchanged, quarantined, skipped }: Plan): string {
  const counts = `${todo.length} to index, ${unchanged} unchanged, ${quarantined} failed before`
  const lines = [...todo.map(printable), counts].map((line) => `${line}\n`)
  return lines.join('') + formatSkipped(skipped)
}
