export interface YamlToken {
  text: string
  kind: 'plain' | 'key' | 'string' | 'number' | 'comment' | 'mark'
}

function valueTokens(value: string): YamlToken[] {
  const trimmed = value.trim()
  if (trimmed === '') return value ? [{ text: value, kind: 'plain' }] : []
  if (trimmed.startsWith('#')) return [{ text: value, kind: 'comment' }]
  if (/^[|>][+-]?\d*$/.test(trimmed)) return [{ text: value, kind: 'mark' }]
  if (/^(-?\d+(\.\d+)?|true|false|null|~)$/.test(trimmed)) return [{ text: value, kind: 'number' }]
  return [{ text: value, kind: 'string' }]
}

/** Colours one line of block-style YAML; texts joined are the line again. */
export function tokenizeYamlLine(line: string): YamlToken[] {
  const head = /^(\s*(?:- )*)(.*)$/.exec(line)
  const indent = head?.[1] ?? ''
  const rest = head?.[2] ?? line
  const tokens: YamlToken[] = indent ? [{ text: indent, kind: 'mark' }] : []
  if (rest.startsWith('#') || rest === '---') return [...tokens, { text: rest, kind: 'comment' }]
  const pair = /^([\w./-]+|"[^"]*"|'[^']*')(:)(\s.*|)$/.exec(rest)
  if (!pair) return [...tokens, ...valueTokens(rest)]
  tokens.push({ text: pair[1] ?? '', kind: 'key' }, { text: ':', kind: 'mark' })
  return [...tokens, ...valueTokens(pair[3] ?? '')]
}
