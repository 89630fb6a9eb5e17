/** Assigns codes to strings, so that a numeric column can store them. */
export class StringDictionary {
  readonly #codes = new Map<string, number>()
  readonly #strings: string[] = [] // by code

  constructor(strings: Iterable<string> = []) {
    for (const each of strings) this.add(each)
  }

  /** All strings, ordered by code. */
  get strings(): readonly string[] {
    return this.#strings
  }

  /** Returns the code of a string. Assigns a new code if the string has none. */
  add(text: string): number {
    const known = this.#codes.get(text)
    if (known !== undefined) return known
    this.#codes.set(text, this.#strings.length)
    return this.#strings.push(text) - 1
  }

  /** Returns the code of a string, or undefined if the string is unknown. */
  codeOf(text: string): number | undefined {
    return this.#codes.get(text)
  }

  /** Returns the string of a code. */
  textOf(code: number): string {
    return this.#strings[code] as string
  }
}
