import type { Command } from 'commander'

/** Refuses a word that names no subcommand. Commander gives it to the default subcommand. */
export function refuseUnknownSubcommand(group: Command): void {
  const [word = '-'] = group.args
  const names = group.commands.map((subcommand) => subcommand.name())
  if (word.startsWith('-') || names.includes(word)) return
  group.error(`unknown command '${word}' (expected ${names.join(', ')})`)
}
