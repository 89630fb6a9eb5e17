import type { CliCommand } from '../command.js'
import { EXIT, type ExitCode } from '../exit-codes.js'
import { action, type Invocation } from '../invocation.js'
import { table } from '../table.js'
import type { Finding } from './doctor/finding.js'
import { checkLibrary } from './doctor/library.js'
import { checkMachine } from './doctor/machine.js'

/** Declares `earshot doctor`. */
export function addDoctor(program: CliCommand): void {
  program
    .command('doctor')
    .description('Check ffmpeg, the bundle, the execution provider and the library')
    .examples('earshot doctor', 'EARSHOT_PROVIDERS=cuda earshot doctor --json')
    .action(action(run))
}

async function run({ config, output }: Invocation): Promise<ExitCode> {
  const findings: Finding[] = []
  for await (const finding of checkMachine(config)) findings.push(finding)
  for await (const finding of checkLibrary(config)) findings.push(finding)
  const ok = findings.every((finding) => finding.ok)
  output.result({ ok, findings }, () => formatFindings(findings))
  return ok ? EXIT.ok : EXIT.failed
}

const formatFindings = (findings: readonly Finding[]): string =>
  table(
    ['check', 'state', 'detail'],
    findings.map(({ check, ok, detail }) => [check, ok ? 'ok' : 'FAILED', detail]),
  )
