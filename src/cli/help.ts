import type { Command } from './command.js'

const COMMON_HELP = {
  '--json': 'one JSON value on stdout, talk on stderr',
  '--data <dir>': 'the library (EARSHOT_DATA; ./earshot-data where neither is given)',
  '--help': 'this text',
}

export function overview(commands: readonly Command[]): string {
  return [
    'Earshot: a sound finds its video, a video finds its sound.',
    '',
    'Usage: earshot <command> [options]',
    '',
    ...rows(commands.map(({ name, summary }) => [name, summary])),
    '',
    '`earshot <command> --help` shows its options and examples. Exit codes: 0 ok, 1 usage, 2 partial, 3 failed,',
    '130 interrupted. `earshot --version` shows the version.',
  ].join('\n')
}

export function helpFor({ usage, summary, optionHelp, examples }: Command): string {
  return [
    `Usage: earshot ${usage}`,
    '',
    `${summary}.`,
    '',
    'Options:',
    ...rows(Object.entries({ ...optionHelp, ...COMMON_HELP })),
    '',
    'Examples:',
    ...examples.map((example) => `  ${example}`),
  ].join('\n')
}

function rows(pairs: readonly (readonly [string, string])[]): string[] {
  const width = Math.max(...pairs.map(([left]) => left.length))
  return pairs.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`)
}
