import { createFormContext } from '@mantine/form'

import type { FormValues } from '@/lib/monitor-form'

/** The monitor form, shared by its parts. */
export const [MonitorFormProvider, useMonitorForm, useNewMonitorForm] = createFormContext<FormValues>()
