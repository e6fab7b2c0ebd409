import '@mantine/core/styles.css'
import '@mantine/notifications/styles.css'
import '@/app/styles/tokens.css'
import '@/app/styles/base.css'

import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'

import { loadConfig } from '@/api/config'
import { Providers } from '@/app/providers'
import { StartupError } from '@/app/startup-error'

const element = document.getElementById('root')
if (!element) throw new Error('index.html has no #root')
const root = createRoot(element)

try {
  await loadConfig()
  root.render(
    <StrictMode>
      <Providers />
    </StrictMode>,
  )
} catch (error) {
  root.render(<StartupError error={error} />)
}
