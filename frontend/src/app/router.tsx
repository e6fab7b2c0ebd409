import { createRootRoute, createRoute, createRouter, lazyRouteComponent } from '@tanstack/react-router'

import { NotFound, RouteError } from '@/app/error-pages'
import { Shell } from '@/app/layout/shell'
import { MonitorListPage } from '@/features/monitors/routes/monitor-list-page'
import { readListSearch } from '@/lib/monitor-list'
import { readFormSearch, readMonitorSearch, readResultsSearch } from '@/lib/page-search'

const rootRoute = createRootRoute({ component: Shell, notFoundComponent: NotFound, errorComponent: RouteError })

const listRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: '/',
  validateSearch: readListSearch,
  component: MonitorListPage,
})

const newRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: '/monitors/new',
  validateSearch: readFormSearch,
  component: lazyRouteComponent(() => import('@/features/monitors/routes/monitor-new-page'), 'MonitorNewPage'),
})

const monitorRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: '/monitors/$id',
  validateSearch: readMonitorSearch,
  component: lazyRouteComponent(() => import('@/features/monitors/routes/monitor-page'), 'MonitorPage'),
})

const editRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: '/monitors/$id/edit',
  component: lazyRouteComponent(() => import('@/features/monitors/routes/monitor-edit-page'), 'MonitorEditPage'),
})

const resultsRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: '/results',
  validateSearch: readResultsSearch,
  component: lazyRouteComponent(() => import('@/features/results/routes/results-page'), 'ResultsPage'),
})

const aboutRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: '/about',
  component: lazyRouteComponent(() => import('@/features/about/routes/about-page'), 'AboutPage'),
})

export const router = createRouter({
  routeTree: rootRoute.addChildren([listRoute, newRoute, monitorRoute, editRoute, resultsRoute, aboutRoute]),
  defaultPreload: 'intent',
  defaultPreloadStaleTime: 0,
  scrollRestoration: true,
})

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router
  }
}
