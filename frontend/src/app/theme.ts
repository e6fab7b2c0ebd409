import {
  createTheme,
  defaultVariantColorsResolver,
  type MantineColorsTuple,
  type VariantColorsResolver,
} from '@mantine/core'

/** Actions are ink: near black on light, near white on dark. Colour is left to states. */
const ink: MantineColorsTuple = [
  '#f2f3f5',
  '#e3e5e9',
  '#c5c9d1',
  '#a2a8b3',
  '#7c828e',
  '#5d636f',
  '#454a54',
  '#30343c',
  '#22252b',
  '#16181d',
]

const dark: MantineColorsTuple = [
  '#eceef1',
  '#c5c9d1',
  '#a2a8b3',
  '#6b717d',
  '#353840',
  '#282b32',
  '#1a1c21',
  '#131418',
  '#0f1013',
  '#0c0d10',
]

/** Filled primary controls take the page's ink, which differs by scheme. */
const variantColorResolver: VariantColorsResolver = (input) => {
  const primary = input.color === undefined || input.color === 'ink'
  if (input.variant === 'filled' && primary) {
    return {
      background: 'var(--nm-ink)',
      hover: 'var(--nm-ink-hover)',
      color: 'var(--nm-on-ink)',
      border: '1px solid transparent',
    }
  }
  return defaultVariantColorsResolver(input)
}

export const theme = createTheme({
  variantColorResolver,
  colors: { ink, dark },
  primaryColor: 'ink',
  primaryShade: { light: 9, dark: 0 },
  autoContrast: true,
  fontFamily: "'Inter Variable', system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif",
  fontFamilyMonospace: 'var(--nm-mono)',
  defaultRadius: 8,
  cursorType: 'pointer',
  fontSizes: { xs: '12px', sm: '13px', md: '14px', lg: '16px', xl: '20px' },
  headings: {
    fontWeight: '600',
    sizes: { h1: { fontSize: '22px', lineHeight: '1.25' }, h2: { fontSize: '15px', lineHeight: '1.35' } },
  },
  components: {
    Button: { defaultProps: { size: 'sm' }, styles: { root: { fontWeight: 550 } } },
    TextInput: { defaultProps: { size: 'sm' } },
    Tooltip: { defaultProps: { openDelay: 250, withArrow: false, multiline: true, maw: 320 } },
    Menu: { defaultProps: { shadow: 'md', width: 200 } },
  },
})
