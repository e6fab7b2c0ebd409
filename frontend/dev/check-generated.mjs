// Fails if src/api/__generated__/schema.d.ts is not what ../dashboard-api/openapi.json gives: run `npm run generate`.
import { readFileSync } from 'node:fs'
import openapiTS, { astToString, COMMENT_HEADER } from 'openapi-typescript'

const document = new URL('../../dashboard-api/openapi.json', import.meta.url)
const generated = new URL('../src/api/__generated__/schema.d.ts', import.meta.url)

const wanted = COMMENT_HEADER + astToString(await openapiTS(document, { defaultNonNullable: false }))
if (readFileSync(generated, 'utf8') !== wanted) {
  console.error('src/api/__generated__/schema.d.ts is stale: run `npm run generate` in frontend/ and commit it')
  process.exit(1)
}
