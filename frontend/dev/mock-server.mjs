// A make-believe API for work on the dashboard: everything in memory, every figure invented. Never shipped.
//
//   npm run mock [-- --count 5000] [--port 8000] [--empty] [--read-only]
//
// It also serves ../dist, so `npm run build && npm run mock` shows the built dashboard on its port.
import { createHash, randomUUID } from 'node:crypto'
import { createReadStream, existsSync } from 'node:fs'
import { createServer } from 'node:http'
import { extname, join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const { values: options } = parseArgs({
  options: {
    port: { type: 'string', default: '8000' },
    count: { type: 'string', default: '26' },
    empty: { type: 'boolean', default: false },
    'read-only': { type: 'boolean', default: false },
  },
})

const dist = fileURLToPath(new URL('../dist', import.meta.url))
const TYPES = ['http', 'tcp', 'ping', 'dns']
const NAMED = [
  ['Shop home page', 'http', 'https://shop.example/health', 'web', 'shop'],
  ['Shop checkout API', 'http', 'https://shop.example/api/checkout/ready', 'web', 'shop'],
  ['Product search', 'http', 'https://search.shop.example/api/v2/query?q=…', 'web', 'shop'],
  ['Image CDN', 'http', 'https://img.example/pixel.gif', 'edge', 'shop'],
  ['Login (OIDC discovery)', 'http', 'https://login.example/.well-known/openid-configuration', 'identity', 'platform'],
  ['Orders database', 'tcp', 'orders-db.data.svc:5432', 'data', 'data'],
  ['Session cache', 'tcp', 'redis.data.svc:6379', 'data', 'data'],
  ['Message broker', 'tcp', 'kafka-0.data.svc:9092', 'data', 'data'],
  ['Mail relay', 'tcp', 'mail.example:587', 'mail', 'platform'],
  ['Core router', 'ping', '10.0.0.1', 'network', 'platform'],
  ['Office uplink', 'ping', 'gw.office.example', 'network', 'platform'],
  ['Backup site', 'ping', '2001:db8::7', 'network', 'platform'],
  ['Zone shop.example', 'dns', 'shop.example', 'dns', 'platform'],
  ['Mail exchangers', 'dns', 'example.org', 'dns', 'platform'],
  ['Grafana', 'http', 'https://grafana.platform.example/api/health', 'platform', 'platform'],
  ['Argo CD', 'http', 'https://argocd.platform.example/healthz', 'platform', 'platform'],
  ['Container registry', 'http', 'https://registry.platform.example/v2/', 'platform', 'platform'],
  ['Payments gateway', 'http', 'https://api.payments.example/ping', 'partners', 'shop'],
  ['Shipping rates', 'http', 'https://rates.parcel.example/v3/status', 'partners', 'shop'],
  ['Status page', 'http', 'https://status.shop.example/', 'edge', 'shop'],
]

let seed = 7
const random = () => ((seed = (seed * 16807) % 2147483647) - 1) / 2147483646
const iso = (ms) => new Date(ms).toISOString()
const started = Date.now()

function specOf(type, target, name, group) {
  const base = { displayName: name, group, interval: '30s', runnerPools: ['default'] }
  if (type === 'http')
    return {
      ...base,
      http: {
        url: target.replace('…', 'lamp'),
        method: 'GET',
        timeout: '5s',
        validateTLS: true,
        followRedirects: true,
      },
      rule: 'status == 200 && respTime < 800',
    }
  if (type === 'tcp') return { ...base, tcp: { address: target, timeout: '5s' } }
  if (type === 'ping')
    return { ...base, ping: { host: target, count: 3, interval: '150ms', timeout: '1s' }, rule: 'packetLoss == 0' }
  return { ...base, dns: { name: target, recordType: 'A', network: 'ip', timeout: '2s' }, rule: 'resultCount > 0' }
}

const SENTENCES = {
  rule_false: 'The rule does not hold.',
  connect_refused: 'The connection was refused.',
  tls_expired: 'The certificate has expired.',
  timeout: 'The run did not finish within its timeout.',
  dns_nxdomain: 'The name does not exist.',
}

const monitors = new Map()
let nextId = 1

function add(name, type, target, group, namespace, spec, extra = {}) {
  const id = nextId++
  const slug = name
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '')
  const now = Date.now()
  monitors.set(id, {
    base: type === 'ping' ? 9 : type === 'tcp' ? 14 : type === 'dns' ? 22 : 60 + random() * 180,
    id,
    name,
    type,
    target,
    group,
    namespace,
    objectName: slug,
    spec,
    status: 'OK',
    reason: null,
    since: now - random() * 9 * 86400e3,
    created: now - 40 * 86400e3,
    checked: now - random() * 30e3,
    value: 0,
    updated: now - random() * 20 * 86400e3,
    managedBy: { source: 'api', editable: true },
    version: 1,
    ...extra,
  })
  return monitors.get(id)
}

if (!options.empty) {
  const count = Number(options.count)
  for (let n = 0; n < count; n += 1) {
    const [name, type, target, group, namespace] = NAMED[n] ?? [
      `Service ${n} ${['api', 'web', 'worker', 'cache'][n % 4]}`,
      TYPES[n % 4],
      n % 4 === 0
        ? `https://svc-${n}.example/healthz`
        : n % 4 === 1
          ? `svc-${n}.prod.svc:${8000 + (n % 900)}`
          : `svc-${n}.example`,
      ['web', 'data', 'network', 'dns', 'batch'][n % 5],
      ['shop', 'platform', 'data', 'labs'][n % 4],
    ]
    const extra = {}
    if (n === 1) Object.assign(extra, { status: 'Error', reason: 'rule_false', since: started - 14 * 60e3 })
    if (n === 7) Object.assign(extra, { status: 'Failed', reason: 'connect_refused', since: started - 3 * 60e3 })
    if (n === 18) Object.assign(extra, { status: 'Failed', reason: 'tls_expired', since: started - 5 * 3600e3 })
    if (n === 11) Object.assign(extra, { status: 'Unknown', reason: null, since: started - 20e3 })
    if (n === 14 || n === 15)
      extra.managedBy = {
        source: 'kubernetes',
        owner: 'Argo CD application platform/observability',
        editable: false,
        reason: 'It is managed by the Argo CD application platform/observability: change it in its repository.',
      }
    if (n > 20 && n % 97 === 0) Object.assign(extra, { status: 'Failed', reason: 'timeout' })
    if (n > 20 && n % 61 === 0) Object.assign(extra, { status: 'Error', reason: 'rule_false' })
    const spec = specOf(type, target, name, group)
    if (n === 10) spec.suspend = true
    add(name, type, target, group, namespace, spec, extra)
  }
}

const noise = (key) => {
  const hash = createHash('md5').update(key).digest()
  return hash.readUInt32BE(0) / 2 ** 32
}

/** What a run of this monitor at this moment would have given. */
function sample(monitor, at) {
  const slot = Math.floor(at / 30e3)
  const n = noise(`${monitor.id}/${slot}`)
  const day = Math.sin((at / 86400e3) * 2 * Math.PI) * 0.18 + 1
  let value = monitor.base * day * (0.82 + n * 0.36) * (n > 0.985 ? 3.4 : 1)
  let status = 0
  let reason = 'ok'
  if (monitor.status === 'Error' && at > monitor.since) [status, reason, value] = [1, 'rule_false', 850 + n * 500]
  if (monitor.status === 'Failed' && at > monitor.since) [status, reason] = [2, monitor.reason]
  const outage = noise(`${monitor.id}/${Math.floor(at / 3600e3)}`)
  if (at < monitor.since && outage > 0.994) [status, reason] = outage > 0.997 ? [2, 'timeout'] : [1, 'rule_false']
  return { value, status, reason }
}

function phases(monitor, value) {
  if (monitor.type !== 'http') return monitor.type === 'tcp' ? { dns: value * 0.3, connect: value * 0.7 } : {}
  return {
    dns: value * 0.08,
    connect: value * 0.14,
    tls: value * 0.22,
    firstByte: value * 0.44,
    transfer: value * 0.12,
  }
}

const ms = (x) => Math.round(x * 1000) / 1000

function outputs(monitor, value, status, reason) {
  if (status === 2) return { reason }
  const p = phases(monitor, value)
  if (monitor.type === 'http')
    return {
      respTime: ms(value),
      status: 200,
      bodyLen: 15256,
      dnsTime: ms(p.dns),
      connectTime: ms(p.connect),
      tlsTime: ms(p.tls),
      firstByteTime: ms(p.firstByte),
      transferTime: ms(p.transfer),
      certExpiryDays: monitor.id === 4 ? 9 : 61,
      ipAddress: '203.0.113.7',
      httpVersion: '2',
      redirects: 0,
    }
  if (monitor.type === 'tcp')
    return { respTime: ms(value), dnsTime: ms(p.dns), connectTime: ms(p.connect), ipAddress: '10.42.0.17' }
  if (monitor.type === 'ping')
    return {
      minRtt: ms(value * 0.9),
      avgRtt: ms(value),
      maxRtt: ms(value * 1.2),
      packetsRecv: 3,
      packetLoss: 0,
      ipAddress: '10.0.0.1',
    }
  return { respTime: ms(value), resultCount: 2, result1: '203.0.113.7', result2: '203.0.113.8' }
}

function result(monitor, at) {
  const { value, status, reason } = sample(monitor, at)
  return {
    date: iso(at),
    status,
    value: status === 2 ? 0 : Math.round(value * 1000) / 1000,
    message: status === 0 ? '' : (SENTENCES[reason] ?? ''),
    monitor_id: monitor.id,
    monitor_name: monitor.name,
    monitor_target: monitor.target,
    outputs: outputs(monitor, value, status, reason),
    reason: reason === 'ok' ? null : reason,
    runner: 'runner-0',
    pool: 'default',
    unknown: false,
    late: false,
    initial: false,
  }
}

function view(monitor) {
  const status = monitor.spec.suspend ? 'Paused' : monitor.status
  const quiet = status === 'Unknown'
  const { value } = sample(monitor, monitor.checked)
  return {
    id: monitor.id,
    name: monitor.name,
    type: monitor.type,
    interval: monitor.spec.interval,
    target: monitor.target,
    rule: monitor.spec.rule ?? '',
    enabled: !monitor.spec.suspend,
    group: monitor.group,
    properties: {},
    updated: iso(monitor.updated),
    namespace: monitor.namespace,
    objectName: monitor.objectName,
    spec: monitor.spec,
    state: {
      status,
      since: iso(monitor.since),
      ...(!quiet && { lastCheckTime: iso(monitor.checked) }),
      ...(!quiet && status !== 'Failed' && { lastValue: Math.round(value * 1000) / 1000 }),
      ...(monitor.reason && { reason: monitor.reason, message: SENTENCES[monitor.reason] }),
      pools: [
        { pool: 'default', status, since: iso(monitor.since), lastCheckTime: iso(monitor.checked), runner: 'runner-0' },
      ],
    },
    managedBy: monitor.managedBy,
    createdAt: iso(monitor.created),
  }
}

setInterval(() => {
  const now = Date.now()
  for (const monitor of monitors.values()) {
    if (monitor.spec.suspend || (monitor.status === 'Unknown' && !monitor.fresh)) continue
    if (now - monitor.checked >= 30e3) monitor.checked = now
    if (monitor.fresh && now - monitor.fresh > 1500)
      Object.assign(monitor, { status: 'OK', fresh: 0, since: now, checked: now })
  }
}, 500).unref?.()

function faults(body) {
  const errors = []
  const { name, spec } = body
  const need = (ok, field, message) => ok || errors.push({ field, message })
  need(name, 'name', 'missing monitor name')
  need(
    /^(\d+(\.\d+)?(ms|s|m|h))+$/.test(spec?.interval ?? ''),
    'spec.interval',
    `invalid monitor interval: ${JSON.stringify(spec?.interval)} is not a duration such as 30s`,
  )
  if (spec?.http)
    need(/^https?:\/\/[^/\s]+/.test(spec.http.url ?? ''), 'spec.http.url', 'must be an absolute http or https URL')
  if (spec?.tcp) need(/:\d+$/.test(spec.tcp.address ?? ''), 'spec.tcp.address', 'must be host:port')
  if (spec?.ping) need(spec.ping.host, 'spec.ping.host', 'missing monitor target')
  if (spec?.dns) need(spec.dns.name, 'spec.dns.name', 'missing monitor target')
  if (spec?.rule && !checkRule(spec.rule).valid)
    errors.push({ field: 'spec.rule', message: `rule invalid: ${checkRule(spec.rule).message}` })
  return errors
}

function checkRule(rule) {
  const at = rule.search(/\b(foo|nope|nosuch)\b/)
  if (at >= 0) return { valid: false, position: at, message: 'there is no output of this name' }
  if (/(&&|\|\||[=<>+])\s*$/.test(rule))
    return { valid: false, position: rule.length - 1, message: 'the expression ends too early' }
  return { valid: true }
}

const targetOf = (spec) => spec.http?.url ?? spec.tcp?.address ?? spec.ping?.host ?? spec.dns?.name
const typeOf = (spec) => TYPES.find((type) => spec[type])

const OUTPUTS = {
  http: [
    ['respTime', 'ms', 'Whole response time.'],
    ['status', 'count', 'HTTP status code.'],
    ['bodyLen', 'count', 'Bytes of the body.'],
    ['dnsTime', 'ms', 'Name resolution.'],
    ['connectTime', 'ms', 'TCP connection.'],
    ['tlsTime', 'ms', 'TLS handshake.'],
    ['firstByteTime', 'ms', 'From the request sent to the first byte of the answer.'],
    ['transferTime', 'ms', 'From the first byte to the end of the body.'],
    ['certExpiryDays', 'count', 'Whole days until the certificate expires.'],
    ['regexMatch', 'text', 'What bodyRegex found.'],
    ['ipAddress', 'text', 'The address that was talked to.'],
    ['body', 'text', 'The body, for rules only.'],
  ],
  tcp: [
    ['respTime', 'ms', 'Whole response time.'],
    ['ipAddress', 'text', 'The address that was talked to.'],
  ],
  ping: [
    ['minRtt', 'ms', 'Smallest round trip.'],
    ['avgRtt', 'ms', 'Average round trip.'],
    ['maxRtt', 'ms', 'Largest round trip.'],
    ['packetsRecv', 'count', 'Replies received.'],
    ['packetLoss', 'number', 'Percentage of requests without a reply.'],
  ],
  dns: [
    ['respTime', 'ms', 'Whole response time.'],
    ['resultCount', 'count', 'Records in the answer.'],
    ['result1', 'text', 'First record.'],
  ],
}

function yaml(value, indent = '') {
  return Object.entries(value)
    .filter(([, v]) => v !== undefined)
    .map(([key, v]) => {
      if (Array.isArray(v)) return `${indent}${key}: [${v.map((x) => JSON.stringify(x)).join(', ')}]\n`
      if (typeof v === 'object') return `${indent}${key}:\n${yaml(v, `${indent}  `)}`
      return `${indent}${key}: ${typeof v === 'string' && /[:#&=]/.test(v) ? `'${v}'` : v}\n`
    })
    .join('')
}

function series(monitor, from, to, points) {
  const span = Math.max(1, to - from)
  const steps = [0, 60, 300, 900, 3600, 10800, 86400]
  const wanted = span / 1000 / points
  const bucket = wanted <= 30 ? 0 : (steps.find((step) => step >= wanted) ?? 86400)
  const width = (bucket || 30) * 1000
  const rows = []
  for (let t = Math.ceil(Math.max(from, monitor.created) / width) * width; t < Math.min(to, Date.now()); t += width) {
    const runs = Math.max(1, width / 30e3)
    const row = { t: iso(t), n: runs, ok: 0, error: 0, failed: 0 }
    const probes = Math.min(runs, 12)
    let sum = 0
    let got = 0
    let min = Infinity
    let max = 0
    for (let k = 0; k < probes; k += 1) {
      const s = sample(monitor, t + (k / probes) * width)
      row[s.status === 0 ? 'ok' : s.status === 1 ? 'error' : 'failed'] += runs / probes
      if (s.status !== 2) {
        sum += s.value
        got += 1
        min = Math.min(min, s.value)
        max = Math.max(max, s.value)
      }
    }
    if (got) Object.assign(row, { avg: sum / got, min, max }, phases(monitor, sum / got))
    for (const key of ['ok', 'error', 'failed']) row[key] = Math.round(row[key])
    rows.push(row)
  }
  return { bucketSeconds: bucket, points: rows }
}

const probes = new Map()
function startProbe(spec, name) {
  const id = randomUUID()
  const type = typeOf(spec)
  const fake = { id: 0, base: 90, type, status: 'OK', since: 0, name }
  const bad = /\.invalid/.test(targetOf(spec) ?? '')
  const value = 80 + Math.random() * 60
  const broken = spec.rule?.includes('status == 201')
  probes.set(id, {
    at: Date.now() + 700,
    done: {
      id,
      state: 'done',
      result: bad
        ? {
            status: 2,
            value: 0,
            reason: 'dns_nxdomain',
            message: SENTENCES.dns_nxdomain,
            outputs: {},
            durationMs: 31,
            runner: 'runner-0',
          }
        : {
            status: broken ? 1 : 0,
            value,
            reason: broken ? 'rule_false' : 'ok',
            message: broken ? SENTENCES.rule_false : '',
            outputs: outputs(fake, value, 0, 'ok'),
            durationMs: value,
            runner: 'runner-0',
          },
    },
  })
  return { id, state: 'pending' }
}

const MIME = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
  '.woff2': 'font/woff2',
}

const server = createServer(async (request, response) => {
  const url = new URL(request.url, 'http://mock')
  const path = url.pathname
  const send = (status, body, headers = {}) => {
    const text = typeof body === 'string' ? body : JSON.stringify(body)
    const etag = `"${createHash('md5').update(text).digest('hex')}"`
    if (status === 200 && request.method === 'GET' && request.headers['if-none-match'] === etag) {
      response.writeHead(304, { ETag: etag }).end()
      return
    }
    response
      .writeHead(status, { 'Content-Type': 'application/json', ETag: etag, ...headers })
      .end(status === 204 ? undefined : text)
  }
  const problem = (status, title, detail, errors) =>
    send(
      status,
      { type: 'about:blank', title, status, detail, ...(errors && { errors }) },
      { 'Content-Type': 'application/problem+json' },
    )

  let raw = ''
  for await (const chunk of request) raw += chunk
  let body = {}
  try {
    body = raw ? JSON.parse(raw) : {}
  } catch {
    return problem(400, 'Bad Request', 'the body is not JSON')
  }

  const route = `${request.method} ${path}`
  if (path === '/config.json')
    return send(200, {
      API_ENDPOINT: '/api',
      AUTH_CLIENT_ID: '',
      AUTH_TENANT: '',
      VERSION: '0.1.0',
      BUILD_INFO: 'mock',
      writable: !options['read-only'],
      ...(options['read-only'] && {
        writeBlockedReason: 'Writes need a signed-in caller: set AUTH_ISSUER, or api.allowAnonymousWrites.',
      }),
      mode: 'standalone',
    })
  if (route === 'GET /api/monitors') return send(200, [...monitors.values()].map(view))
  if (route === 'POST /api/monitors' || (request.method === 'PUT' && /^\/api\/monitors\/\d+$/.test(path))) {
    const errors = faults(body)
    if (errors.length) return problem(400, 'Bad Request', errors[0].message, errors)
    const { spec, name } = body
    const facts = [name, typeOf(spec), targetOf(spec), spec.group || 'default']
    if (request.method === 'POST') {
      const made = add(...facts, body.namespace || 'default', spec, {
        status: 'Unknown',
        fresh: Date.now(),
        since: Date.now(),
        created: Date.now(),
      })
      return send(200, view(made))
    }
    const old = monitors.get(Number(path.split('/').pop()))
    if (!old) return problem(404, 'Not Found', 'monitor not found')
    Object.assign(old, {
      name,
      type: typeOf(spec),
      target: targetOf(spec),
      group: spec.group || 'default',
      spec,
      updated: Date.now(),
    })
    return send(200, view(old))
  }
  const match = /^\/api\/monitors\/([^/]+)(?:\/(\w+))?$/.exec(path)
  if (match) {
    const monitor = monitors.get(Number(match[1]))
    if (!monitor) return problem(404, 'Not Found', 'monitor not found')
    const what = match[2]
    if (!what && request.method === 'DELETE') {
      monitors.delete(monitor.id)
      return send(204, '')
    }
    if (!what) return send(200, view(monitor))
    if (what === 'results') {
      if (monitor.status === 'Unknown') return send(200, [])
      const max = Number(url.searchParams.get('max') ?? 100)
      return send(
        200,
        Array.from({ length: max }, (_, n) => result(monitor, monitor.checked - n * 30e3)),
      )
    }
    if (what === 'series')
      return send(
        200,
        series(
          monitor,
          Date.parse(url.searchParams.get('from')),
          Date.parse(url.searchParams.get('to')),
          Number(url.searchParams.get('points') ?? 300),
        ),
      )
    if (what === 'uptime')
      return send(200, {
        windows: [
          { window: '24h', uptime: monitor.status === 'OK' ? 1 : 0.9903, coverage: 1 },
          { window: '7d', uptime: 0.99934, coverage: 0.9998 },
          { window: '30d', uptime: 0.99871, coverage: 0.987 },
          { window: '90d', uptime: 0.9989, coverage: 0.44 },
          { window: '365d', uptime: null, coverage: 0.11 },
        ],
      })
    if (what === 'manifest')
      return send(
        200,
        yaml({
          apiVersion: 'nanomon.io/v1alpha1',
          kind: 'Monitor',
          metadata: { name: monitor.objectName, namespace: monitor.namespace },
          spec: monitor.spec,
        }),
        { 'Content-Type': 'text/yaml' },
      )
    if (what === 'run') return send(202, startProbe(monitor.spec, monitor.name))
  }
  if (route === 'POST /api/probes') {
    const errors = faults({ name: 'draft', ...body })
    if (errors.length) return problem(400, 'Bad Request', errors[0].message, errors)
    return send(202, startProbe(body.spec))
  }
  if (path.startsWith('/api/probes/')) {
    const probe = probes.get(path.split('/').pop())
    if (!probe) return problem(404, 'Not Found', 'probe not found')
    return send(200, Date.now() >= probe.at ? probe.done : { id: probe.done.id, state: 'running' })
  }
  if (route === 'POST /api/rules/check') return send(200, body.rule ? checkRule(body.rule) : { valid: true })
  if (route === 'GET /api/outputs')
    return send(
      200,
      Object.fromEntries(
        Object.entries(OUTPUTS).map(([type, rows]) => [type, rows.map(([name, kind, help]) => ({ name, kind, help }))]),
      ),
    )
  if (route === 'GET /api/results') {
    const max = Number(url.searchParams.get('max') ?? 100)
    const rows = [...monitors.values()]
      .filter((monitor) => monitor.status !== 'Unknown' && !monitor.spec.suspend)
      .slice(0, 200)
      .flatMap((monitor) => Array.from({ length: 8 }, (_, n) => result(monitor, monitor.checked - n * 30e3)))
    return send(200, rows.toSorted((a, b) => b.date.localeCompare(a.date)).slice(0, max))
  }
  if (route === 'GET /api/status')
    return send(200, { version: '0.1.0', buildInfo: 'mock', uptime: '3h12m', database: 'up', monitors: monitors.size })
  if (path.startsWith('/api/')) return problem(404, 'Not Found', 'no such route')

  const wanted = normalize(join(dist, path))
  const file = wanted.startsWith(dist) && extname(wanted) && existsSync(wanted) ? wanted : join(dist, 'index.html')
  response.writeHead(200, {
    'Content-Type': MIME[extname(file)] ?? 'application/octet-stream',
    'Content-Security-Policy':
      "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'",
  })
  createReadStream(file).pipe(response)
})

server.listen(Number(options.port), '127.0.0.1', () => {
  console.log(`http://127.0.0.1:${server.address().port}`)
})
