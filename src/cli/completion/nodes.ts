import type { Command, Option } from 'commander'

/** Is a word that a shell can complete. */
export interface CompletionWord {
  readonly name: string
  readonly description: string
}

/** Is an option that a shell can complete. */
export interface CompletionOption extends CompletionWord {
  readonly takesValue: boolean
  readonly choices: readonly string[]
}

/** Holds what can follow a command. */
export interface CompletionNode {
  readonly path: string // a space and a name for each command, such as ' library prune'
  readonly words: readonly CompletionWord[]
  readonly options: readonly CompletionOption[]
}

/** Returns a node for a command and for each command below it. */
export function completionNodes(command: Command, path = ''): readonly CompletionNode[] {
  const below = command.commands.flatMap((each) => completionNodes(each, `${path} ${each.name()}`))
  return [{ path, words: wordsOf(command), options: optionsOf(command) }, ...below]
}

function wordsOf(command: Command): readonly CompletionWord[] {
  const subcommands = command.createHelp().visibleCommands(command)
  const choices = command.registeredArguments.flatMap(({ argChoices = [] }) => argChoices)
  return [
    ...subcommands.map((each) => ({ name: each.name(), description: each.description() })),
    ...choices.map((name) => ({ name, description: '' })),
  ]
}

function optionsOf(command: Command): readonly CompletionOption[] {
  const help = command.createHelp()
  const options = [...help.visibleOptions(command), ...help.visibleGlobalOptions(command)]
  return options.map((option) => ({
    name: flagOf(option),
    description: option.description,
    takesValue: option.required,
    choices: option.argChoices ?? [],
  }))
}

const flagOf = ({ long, short }: Option): string => long ?? short ?? ''
