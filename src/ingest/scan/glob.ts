import { RE2JS } from 're2js'
import { AppError } from '../../errors.js'

const LONGEST_GLOB = 1024
const LARGEST_RANGE = 1000 // numbers in a range such as {1..1000}
/**
 * Characters of the regular expressions of all globs in a list. Limits the time to compile them and
 * to match a name.
 */
const LONGEST_EXPRESSION = 20_000

/** Compiles a list of globs. Throws GLOB_INVALID, also if all of them together are too large. */
export function compileGlobs(globs: readonly string[]): ((path: string) => boolean)[] {
  const expressions: string[] = []
  let length = 0
  for (const glob of globs) {
    const expression = expressionOf(glob)
    length += expression.length
    if (length > LONGEST_EXPRESSION)
      throw invalid(glob, 'is too large, alone or together with the globs before it')
    expressions.push(expression)
  }
  return globs.map((glob, i) => compile(glob, expressions[i] ?? ''))
}

/**
 * Compiles a glob to a function that matches paths with slashes. The time is linear in the length
 * of the path, because RE2 does not backtrack. `*` and `?` match within a name, `**` any number of
 * folders. `[a-z]` and `[!a]` match one character, `{a,b}` and `{1..9}` alternatives. A backslash
 * escapes the next character. A leading `!` inverts the glob. Names that begin with a dot match
 * too. Throws GLOB_INVALID.
 */
export function compileGlob(glob: string): (path: string) => boolean {
  const [matches] = compileGlobs([glob])
  return matches as (path: string) => boolean
}

function expressionOf(glob: string): string {
  if (glob.length > LONGEST_GLOB) throw invalid(glob, `has more than ${LONGEST_GLOB} characters`)
  return new Translation(glob.slice(negations(glob)).replace(/^\.?\//, '')).expression
}

function compile(glob: string, expression: string): (path: string) => boolean {
  const isMatch = negations(glob) % 2 === 0
  try {
    const pattern = RE2JS.compile(expression, RE2JS.DOTALL)
    return (path) => pattern.matches(path) === isMatch
  } catch (cause) {
    throw invalid(glob, 'cannot be parsed', cause)
  }
}

/** Returns the number of leading `!`, each of which inverts the glob. */
const negations = (glob: string): number => /^(?:!(?!\())*/.exec(glob)?.[0].length ?? 0

function invalid(glob: string, why: string, cause?: unknown): AppError {
  return new AppError('GLOB_INVALID', `The glob ${glob.slice(0, 100)} ${why}.`, { cause })
}

interface Group {
  readonly bounds: readonly number[] // offsets at which the alternatives end
}

/** Translates a glob to a regular expression that matches a whole path. */
class Translation {
  #at = 0
  readonly #groups: ReadonlyMap<number, Group>
  readonly expression: string

  constructor(private readonly glob: string) {
    this.#groups = groupsIn(glob)
    this.expression = this.#sequence(glob.length)
  }

  #sequence(end: number): string {
    let expression = ''
    while (this.#at < end) expression += this.#next(expression)
    return expression
  }

  #next(before: string): string {
    const folders = /^\*\*(\/|$)/.exec(this.#rest)
    const isNameStart = before === '' || this.glob[this.#at - 1] === '/'
    if (folders && isNameStart) {
      this.#at += folders[0].length
      return folders[1] === '/' ? '(?:[^/]+/)*' : '.*'
    }
    if (/^\/\*\*$/.test(this.#rest)) {
      this.#at += 3
      return '(?:/.*)?' // the folder and everything in it
    }
    const character = this.#take()
    switch (character) {
      case '*':
        while (this.glob[this.#at] === '*') this.#at++
        return '[^/]*'
      case '?':
        return '[^/]'
      case '[':
        return this.#class()
      case '{':
        return this.#alternatives()
      case '\\':
        return quoted(this.#take() || '\\')
      default:
        return quoted(character)
    }
  }

  #class(): string {
    const found = /^([!^]?)(\]?(?:\[:[a-z]+:\]|\\.|[^\]\\])*)\]/su.exec(this.#rest)
    if (!found) return quoted('[')
    const [whole, negation, members = ''] = found
    this.#at += whole.length
    const plain = members
      .replace(/^\]/, '\\]')
      .replace(/\[(?!:)/g, '\\[')
      .replace(/&&/g, '&\\&')
    const isClass = `[${negation ? '^/' : ''}${plain}]`
    return negation ? isClass : isClass.replace(/\//g, '')
  }

  #alternatives(): string {
    const range = /^(-?\d+)\.\.(-?\d+)\}/.exec(this.#rest)
    if (range) {
      this.#at += range[0].length
      return this.#numbers(Number(range[1]), Number(range[2]))
    }
    const group = this.#groups.get(this.#at - 1)
    if (!group) return quoted('{')
    const alternatives = group.bounds.map((bound) => {
      const alternative = this.#sequence(bound)
      this.#at = bound + 1
      return alternative
    })
    return `(?:${alternatives.join('|')})`
  }

  #numbers(from: number, to: number): string {
    const [low, high] = [Math.min(from, to), Math.max(from, to)]
    if (high - low >= LARGEST_RANGE) {
      throw invalid(this.glob, `has a range of more than ${LARGEST_RANGE} numbers`)
    }
    const numbers = Array.from({ length: high - low + 1 }, (_, i) => String(low + i))
    return `(?:${numbers.join('|')})`
  }

  #take(): string {
    const character = String.fromCodePoint(this.glob.codePointAt(this.#at) ?? 0)
    if (this.#at >= this.glob.length) return ''
    this.#at += character.length
    return character
  }

  get #rest(): string {
    return this.glob.slice(this.#at)
  }
}

/** Returns closed brace groups with a comma, by the offset of `{`. Other braces are literal. */
function groupsIn(glob: string): ReadonlyMap<number, Group> {
  const groups = new Map<number, Group>()
  const open: { readonly at: number; readonly bounds: number[] }[] = []
  for (let at = 0; at < glob.length; at++) {
    const character = glob[at]
    if (character === '\\') at++
    else if (character === '{') open.push({ at, bounds: [] })
    else if (character === ',') open.at(-1)?.bounds.push(at)
    else if (character === '}') {
      const group = open.pop()
      if (group && group.bounds.length > 0) groups.set(group.at, { bounds: [...group.bounds, at] })
    }
  }
  return groups
}

const quoted = (text: string): string => RE2JS.quote(text)
