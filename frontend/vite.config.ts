import react from '@vitejs/plugin-react'
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

const source = fileURLToPath(new URL('./src', import.meta.url))

/** Where `npm run dev` finds the API: a standalone, or `npm run mock`. */
const api = process.env.NANOMON_API ?? 'http://127.0.0.1:8000'

/** Libraries that change seldom each get a chunk of their own, so that a release re-downloads little. */
function vendorChunk(id: string): string | undefined {
  if (/\/src\/(lib|api|components)\//.test(id) || id.includes('/@tabler/')) return 'shared'
  if (!id.includes('/node_modules/')) return undefined
  if (/\/(react|react-dom|scheduler)\//.test(id)) return 'react'
  if (/\/(@mantine|@floating-ui|react-textarea-autosize|react-remove-scroll|clsx|tabbable)/.test(id)) return 'mantine'
  if (/\/(@codemirror|@lezer|@uiw|style-mod|w3c-keyname|crelt)/.test(id)) return 'editor'
  if (/\/uplot\//.test(id)) return 'chart'
  if (/\/@tanstack\//.test(id)) return 'tanstack'
  return undefined
}

export default defineConfig({
  plugins: [react()],
  resolve: { alias: { '@': source } },
  server: {
    host: '127.0.0.1',
    proxy: { '/api': api, '/config.json': api },
  },
  build: {
    target: 'es2022',
    // The first versions with light-dark(): older targets would have it rewritten, which custom properties do not survive.
    cssTarget: ['chrome123', 'firefox120', 'safari17.5'],
    // The folder is embedded in the executable and must exist in a fresh checkout: public/.gitkeep puts its own back.
    // Nothing inlined as data: URIs, so that a strict Content-Security-Policy holds.
    assetsInlineLimit: 0,
    rollupOptions: { output: { manualChunks: vendorChunk } },
  },
  test: { include: ['src/**/*.test.ts'], environment: 'node' },
})
