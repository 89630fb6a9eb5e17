import { matcher } from './matcher.js'
import type { CompletionNode } from './nodes.js'

/** Returns the completion script for zsh, which can be evaluated or saved as `_earshot`. */
export const zshScript = (nodes: readonly CompletionNode[]): string => `#compdef earshot
_earshot() {
  local current="\${words[CURRENT]}" previous="\${words[CURRENT - 1]}"
${matcher(nodes, `"\${(@)words[2,CURRENT - 1]}"`)}
  if [[ -n $offered ]]; then compadd -- \${=offered}; else _files; fi
}
if [[ $funcstack[1] == _earshot ]]; then _earshot "$@"; else compdef _earshot earshot; fi
`
