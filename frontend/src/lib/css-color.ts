/** Resolves a palette token to what a canvas understands: custom properties may hold `light-dark()`. */
export function cssColor(host: HTMLElement, token: string): string {
  const probe = document.createElement('span')
  probe.style.color = `var(${token})`
  host.append(probe)
  const color = getComputedStyle(probe).color
  probe.remove()
  return color
}

/** The same colour with another opacity, for `rgb()` as browsers compute it. */
export function withAlpha(color: string, alpha: number): string {
  const [r, g, b] = color.match(/[\d.]+/g) ?? []
  return r && g && b ? `rgba(${r}, ${g}, ${b}, ${alpha})` : color
}
