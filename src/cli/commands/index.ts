import { openApp } from '../../app.js'
import { AppError } from '../../errors.js'
import { FILES_PER_THREAD, type IngestReport, ingestPaths } from '../../ingest/ingest-paths.js'
import { type Command, EXIT, type ExitCode } from '../command.js'
import { helpFor } from '../help.js'
import { progressTo } from '../progress.js'

export const index: Command = {
  name: 'index',
  summary: 'Index files and folders into the library',
  usage: 'index <paths…> [options]',
  examples: ['earshot index ~/clips', 'earshot index interview.mp4 room-tone.wav --data ./library --json'],
  options: {},
  optionHelp: {},
  async run({ args, config, output, signal }) {
    if (args.length === 0) throw new AppError('USAGE', `Say what to index.\n\n${helpFor(index)}`)
    await using app = await openApp(config)
    using progress = progressTo(process.stderr)
    const report = await ingestPaths(
      args,
      { ...app, signal },
      {
        concurrency: config.threads * FILES_PER_THREAD,
        except: [config.dataDir],
        onWarning: output.talk,
        onProgress: (step) => progress.update(step),
      },
    )
    output.result(report, () => summary(report))
    return exitCode(report)
  },
}

function exitCode({ indexed, unchanged, partial, failed }: IngestReport): ExitCode {
  if (failed.length > 0 && indexed + unchanged + partial === 0) return EXIT.failed
  return failed.length > 0 || partial > 0 ? EXIT.partial : EXIT.ok
}

function summary({ indexed, unchanged, partial, failed, seconds }: IngestReport): string {
  const counts = `${indexed} indexed, ${unchanged} unchanged, ${partial} partial, ${failed.length} failed in ${seconds} s\n`
  return failed.map(({ path, code, detail }) => `${code}  ${path}\n    ${detail}\n`).join('') + counts
}
