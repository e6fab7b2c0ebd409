import { autocompletion, completionKeymap } from '@codemirror/autocomplete'
import { defaultKeymap, history, historyKeymap } from '@codemirror/commands'
import { syntaxHighlighting } from '@codemirror/language'
import { setDiagnostics, type Diagnostic } from '@codemirror/lint'
import { EditorState } from '@codemirror/state'
import { EditorView, keymap, placeholder } from '@codemirror/view'
import { useEffect, useRef } from 'react'

import type { OutputDoc } from '@/api/types'

import { completeOutputs, ruleColours, ruleLanguage } from './rule-language'
import classes from './rule-field.module.css'

/** Where a rule is wrong; the position counts characters. */
export interface RuleFault {
  position: number
  message: string
}

function diagnosticsOf(text: string, fault: RuleFault | undefined): Diagnostic[] {
  if (!fault || text === '') return []
  const from = Math.max(0, Math.min(fault.position, text.length - 1))
  const word = /^\w+/.exec(text.slice(from))
  return [{ from, to: from + (word?.[0].length ?? 1), severity: 'error', message: fault.message }]
}

/** A small editor for one rule. Tab leaves it, as in any other field. */
export function RuleEditor({
  value,
  onChange,
  outputs,
  fault,
  describedBy,
}: {
  value: string
  onChange: (value: string) => void
  outputs: OutputDoc[]
  fault: RuleFault | undefined
  describedBy: string
}) {
  const host = useRef<HTMLDivElement>(null)
  const view = useRef<EditorView | null>(null)
  const latest = useRef({ value, onChange, outputs })

  useEffect(() => {
    latest.current = { value, onChange, outputs }
  })

  useEffect(() => {
    if (!host.current) return
    const made = new EditorView({
      parent: host.current,
      state: EditorState.create({
        doc: latest.current.value,
        extensions: [
          history(),
          keymap.of([...completionKeymap, ...historyKeymap, ...defaultKeymap]),
          EditorView.lineWrapping,
          ruleLanguage,
          syntaxHighlighting(ruleColours),
          autocompletion({ override: [completeOutputs(() => latest.current.outputs)], icons: false }),
          placeholder('status == 200 && respTime < 500'),
          EditorView.contentAttributes.of({
            'aria-label': 'Rule',
            'aria-describedby': describedBy,
            spellcheck: 'false',
          }),
          EditorView.updateListener.of((update) => {
            if (update.docChanged) latest.current.onChange(update.state.doc.toString())
          }),
        ],
      }),
    })
    view.current = made
    return () => {
      made.destroy()
      view.current = null
    }
  }, [describedBy])

  // A template or another type may replace the text from outside.
  useEffect(() => {
    const editor = view.current
    if (editor && editor.state.doc.toString() !== value) {
      editor.dispatch({ changes: { from: 0, to: editor.state.doc.length, insert: value } })
    }
  }, [value])

  useEffect(() => {
    const editor = view.current
    if (editor) editor.dispatch(setDiagnostics(editor.state, diagnosticsOf(value, fault)))
  }, [fault, value])

  return <div ref={host} className={classes.editor} data-bad={fault ? true : undefined} />
}
