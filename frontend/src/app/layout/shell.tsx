import { ActionIcon, Drawer, Menu, useMantineColorScheme } from '@mantine/core'
import { useDisclosure } from '@mantine/hooks'
import {
  IconActivityHeartbeat,
  IconDeviceDesktop,
  IconInfoCircle,
  IconListDetails,
  IconMenu2,
  IconMoon,
  IconSun,
} from '@tabler/icons-react'
import { Link, Outlet, useLocation } from '@tanstack/react-router'

import { config } from '@/api/config'

import { Brand } from './brand'
import { LiveMark } from './live-mark'
import classes from './shell.module.css'

const LINKS = [
  { to: '/', label: 'Monitors', icon: IconActivityHeartbeat },
  { to: '/results', label: 'Results', icon: IconListDetails },
  { to: '/about', label: 'About', icon: IconInfoCircle },
] as const

function Nav({ onNavigate }: { onNavigate?: () => void }) {
  const path = useLocation({ select: (location) => location.pathname })
  return (
    <nav className={classes.nav} aria-label="Main">
      {LINKS.map(({ to, label, icon: Icon }) => (
        <Link
          key={to}
          to={to}
          className={classes.link}
          data-current={isCurrent(path, to) || undefined}
          {...(onNavigate && { onClick: onNavigate })}
        >
          <Icon size={17} stroke={1.7} aria-hidden="true" />
          {label}
        </Link>
      ))}
    </nav>
  )
}

const SCHEMES = [
  { value: 'auto', label: 'As the system', icon: IconDeviceDesktop },
  { value: 'light', label: 'Light', icon: IconSun },
  { value: 'dark', label: 'Dark', icon: IconMoon },
] as const

/** A monitor's page belongs to the monitors. */
function isCurrent(path: string, to: string): boolean {
  return to === '/' ? path === '/' || path.startsWith('/monitors/') : path === to
}

function SchemeMenu() {
  const { colorScheme, setColorScheme } = useMantineColorScheme()
  const Current = SCHEMES.find((scheme) => scheme.value === colorScheme)?.icon ?? IconDeviceDesktop
  return (
    <Menu position="top-start" width={170}>
      <Menu.Target>
        <ActionIcon variant="subtle" color="gray" aria-label="Colour scheme" className={classes.quiet}>
          <Current size={17} stroke={1.7} />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        {SCHEMES.map(({ value, label, icon: Icon }) => (
          <Menu.Item
            key={value}
            leftSection={<Icon size={15} />}
            onClick={() => setColorScheme(value)}
            aria-current={value === colorScheme || undefined}
          >
            {label}
          </Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  )
}

/** The frame of every page: navigation beside it, or behind a button on a phone. */
export function Shell() {
  const [opened, drawer] = useDisclosure(false)
  const { VERSION } = config()
  return (
    <div className={classes.shell}>
      <a href="#content" className={classes.skip}>
        Skip to the content
      </a>
      <aside className={classes.rail} aria-label="Sidebar">
        <Brand />
        <Nav />
        <footer className={classes.foot}>
          <LiveMark />
          <div className={classes.footRow}>
            <SchemeMenu />
            {VERSION && <span className={classes.version}>{VERSION}</span>}
          </div>
        </footer>
      </aside>
      <header className={classes.top}>
        <Brand />
        <div className={classes.footRow}>
          <SchemeMenu />
          <ActionIcon variant="subtle" color="gray" size="lg" aria-label="Open the menu" onClick={drawer.open}>
            <IconMenu2 size={20} />
          </ActionIcon>
        </div>
      </header>
      <Drawer
        opened={opened}
        onClose={drawer.close}
        size={260}
        title={<Brand />}
        closeButtonProps={{ 'aria-label': 'Close the menu' }}
      >
        <Nav onNavigate={drawer.close} />
        <div className={classes.drawerFoot}>
          <LiveMark />
        </div>
      </Drawer>
      <main id="content" className={classes.main} tabIndex={-1}>
        <Outlet />
      </main>
    </div>
  )
}
