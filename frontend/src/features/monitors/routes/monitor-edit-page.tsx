export function MonitorEditPage() {
  return null
}
