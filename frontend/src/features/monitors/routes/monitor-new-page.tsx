export function MonitorNewPage() {
  return null
}
