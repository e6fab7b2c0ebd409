import { tokenizeYamlLine } from '@/lib/yaml-tokens'

import { CopyButton } from './copy-button'
import classes from './yaml-block.module.css'

/** YAML to read and copy. */
export function YamlBlock({ text, title }: { text: string; title?: string }) {
  const lines = text.replace(/\n$/, '').split('\n')
  return (
    <figure className={classes.root}>
      <figcaption className={classes.bar}>
        <span className="nm-clip">{title ?? 'YAML'}</span>
        <CopyButton text={text} />
      </figcaption>
      {/* The block scrolls sideways, so it must be reachable by keyboard. */}
      {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex */}
      <pre className={classes.pre} tabIndex={0} aria-label={title ?? 'YAML'}>
        <code>
          {lines.map((line, index) => (
            // Lines have no identity but their place.
            // oxlint-disable-next-line react/no-array-index-key
            <span key={index} className={classes.line}>
              {tokenizeYamlLine(line).map((token, at) => (
                // oxlint-disable-next-line react/no-array-index-key
                <span key={at} data-kind={token.kind}>
                  {token.text}
                </span>
              ))}
              {'\n'}
            </span>
          ))}
        </code>
      </pre>
    </figure>
  )
}
