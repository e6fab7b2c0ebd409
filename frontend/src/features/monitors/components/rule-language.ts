import type { CompletionContext, CompletionResult } from '@codemirror/autocomplete'
import { HighlightStyle, StreamLanguage } from '@codemirror/language'
import { tags } from '@lezer/highlight'

import type { OutputDoc } from '@/api/types'

const WORDS = new Set(['true', 'false', 'null', 'in', 'IN'])

/** Enough of CEL and the reference's forms to colour a rule; the server alone judges it. */
export const ruleLanguage = StreamLanguage.define<null>({
  startState: () => null,
  token(stream) {
    if (stream.eatSpace()) return null
    if (stream.match(/^'(?:[^'\\]|\\.)*'?/) || stream.match(/^"(?:[^"\\]|\\.)*"?/)) return 'string'
    if (stream.match(/^\d+(?:\.\d+)?/)) return 'number'
    if (stream.match(/^(?:&&|\|\||==|!=|<=|>=|=~|!~|[<>!+\-*/%?:])/)) return 'operator'
    const word = stream.match(/^[A-Za-z_]\w*/)
    if (word && typeof word !== 'boolean') return WORDS.has(word[0]) ? 'keyword' : 'variableName'
    stream.next()
    return null
  },
})

export const ruleColours = HighlightStyle.define([
  { tag: tags.string, color: 'light-dark(#17663f, #7fd6a6)' },
  { tag: tags.number, color: 'light-dark(#8f4a00, #f0b36a)' },
  { tag: tags.operator, color: 'var(--nm-muted)' },
  { tag: tags.keyword, color: 'light-dark(#6a3fb5, #c4a6ff)' },
  { tag: tags.variableName, color: 'light-dark(#1a56b8, #8ab8ff)' },
])

const KIND_WORDS: Record<string, string> = { ms: 'milliseconds', count: 'whole number', number: 'number', text: 'text' }

/** Completes output names, with what they mean. */
export function completeOutputs(outputs: () => OutputDoc[]) {
  return (context: CompletionContext): CompletionResult | null => {
    const word = context.matchBefore(/[A-Za-z_]\w*/)
    if (!word && !context.explicit) return null
    return {
      from: word ? word.from : context.pos,
      validFor: /^\w*$/,
      options: outputs().map(({ name, kind, help }) => ({
        label: name,
        type: 'variable',
        detail: KIND_WORDS[kind] ?? kind,
        info: help,
      })),
    }
  }
}
