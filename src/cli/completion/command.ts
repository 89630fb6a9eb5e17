import { Argument } from 'commander'
import type { CliCommand } from '../command.js'
import { EXIT } from '../exit-codes.js'
import { action, type Invocation } from '../invocation.js'
import { bashScript } from './bash.js'
import { fishScript } from './fish.js'
import { completionNodes } from './nodes.js'
import { zshScript } from './zsh.js'

const SCRIPTS = { bash: bashScript, zsh: zshScript, fish: fishScript }
const SHELLS = ['bash', 'zsh', 'fish'] as const
type Shell = (typeof SHELLS)[number]

/** Declares `earshot completion`. */
export function addCompletion(program: CliCommand): void {
  program
    .command('completion')
    .description('Print the completion script for a shell')
    .addArgument(new Argument('<shell>', 'shell to complete commands in').choices(SHELLS))
    .examples(
      'eval "$(earshot completion bash)"    # in ~/.bashrc',
      'eval "$(earshot completion zsh)"     # in ~/.zshrc, after compinit',
      'earshot completion fish > ~/.config/fish/completions/earshot.fish',
    )
    .action(
      action(async ({ args: [shell], output }: Invocation<object, [shell: Shell]>) => {
        const script = SCRIPTS[shell](completionNodes(program))
        output.result({ shell, script }, () => script)
        return EXIT.ok
      }),
    )
}
