import { matcher } from './matcher.js'
import type { CompletionNode } from './nodes.js'

/** Returns the completion script for bash. Bash completes file names if no word is offered. */
export const bashScript = (
  nodes: readonly CompletionNode[],
): string => `# bash completion of earshot
_earshot() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD - 1]}"
${matcher(nodes, `"\${COMP_WORDS[@]:1:COMP_CWORD - 1}"`)}
  COMPREPLY=($(compgen -W "$offered" -- "$current"))
}
complete -o default -F _earshot earshot
`
