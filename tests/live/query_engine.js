// Stands in for Prisma's query engine, a native program that only Prisma's own site hands out.
//
// Prisma also publishes that engine as WebAssembly, but it takes requests in another form and does no I/O of
// its own. So this program listens where the Python client expects the native engine, turns each GraphQL
// request into the engine's JSON form, lends the engine a PostgreSQL connection, and turns answers back.
//
// Needs LIVE_NODE_MODULES (where the packages are) and PGHOST, PGUSER, PGDATABASE (read by `pg` itself).
'use strict'

const { readFileSync } = require('node:fs')
const http = require('node:http')
const { createRequire } = require('node:module')
const path = require('node:path')

if (process.argv.includes('--version')) {
  console.log('query-engine 393aa359c9ad4a4bb28630fb5613f9c281cde053')
  process.exit(0)
}

const modules = process.env.LIVE_NODE_MODULES
const load = createRequire(path.join(modules, 'here.js'))
const graphql = load('graphql')
const pg = load('pg')
const { PrismaPg } = load('@prisma/adapter-pg')
const { bindAdapter } = load('@prisma/driver-adapter-utils')

// Column types that the adapter refuses, by the nearest one that it takes: name, name[], "char", void and
// regclass are read as text. Only questions about the catalogue have such columns.
const READ_AS = { 18: 25, 19: 25, 2205: 25, 2278: 25, 1003: 1009 }
const addFields = pg.Result.prototype.addFields
pg.Result.prototype.addFields = function (fields) {
  for (const field of fields) field.dataTypeID = READ_AS[field.dataTypeID] ?? field.dataTypeID
  return addFields.call(this, fields)
}

/** The fields of every model and their types: {Team: {id: 'String', keys: 'Key', …}, …}. */
function modelsOf(datamodel) {
  const models = {}
  for (const [, name, body] of datamodel.matchAll(/^model\s+(\w+)\s*\{([^]*?)^\}/gm)) {
    models[name] = Object.fromEntries([...body.matchAll(/^\s+(\w+)\s+(\w+)/gm)].map((found) => [found[1], found[2]]))
  }
  return models
}

const datamodel = readFileSync(process.env.PRISMA_DML_PATH, 'utf8')
const models = modelsOf(datamodel)
const ACTION = /^(createOne|createMany|deleteOne|deleteMany|updateOne|updateMany|upsertOne|findMany|findFirst|findUnique|aggregate|groupBy)(\w+?)(OrThrow)?$/

/** A GraphQL literal as a plain value; `model` says which of its fields hold JSON. */
function value(node, model, isJson = false) {
  switch (node.kind) {
    case 'NullValue':
      return null
    case 'BooleanValue':
    case 'EnumValue':
      return node.value
    case 'StringValue':
      return isJson ? { $type: 'Json', value: node.value } : node.value
    case 'FloatValue':
      return Number(node.value)
    case 'IntValue':
      return Number.isSafeInteger(Number(node.value)) ? Number(node.value) : { $type: 'BigInt', value: node.value }
    case 'ListValue':
      return node.values.map((item) => value(item, model, isJson))
    case 'ObjectValue':
      return named(node.fields, model, isJson)
  }
  throw new Error(`a ${node.kind} in a query`)
}

// In a filter on a JSON field these say where and how to look, and are no JSON themselves.
const HOW = new Set(['path', 'mode', 'string_contains', 'string_starts_with', 'string_ends_with'])

function named(nodes, model, isJson) {
  return Object.fromEntries(
    (nodes ?? []).map(({ name, value: given }) => {
      if (isJson) return [name.value, value(given, model, !HOW.has(name.value))]
      const type = models[model]?.[name.value]
      return [name.value, value(given, models[type] ? type : model, type === 'Json')]
    }),
  )
}

function selection(set) {
  return Object.fromEntries(
    set.selections.map((field) => {
      const given = named(field.arguments)
      if (!field.selectionSet && !Object.keys(given).length) return [field.name.value, true]
      return [field.name.value, { arguments: given, selection: field.selectionSet ? selection(field.selectionSet) : {} }]
    }),
  )
}

/** One request in the engine's form. The Python client always calls its one answer `result`. */
function request({ query }) {
  const field = graphql.parse(query).definitions[0].selectionSet.selections[0]
  const [, action, modelName, orThrow = ''] = ACTION.exec(field.name.value) ?? [, field.name.value]
  return {
    action: action + orThrow,
    modelName,
    query: {
      arguments: named(field.arguments, modelName),
      selection: field.selectionSet ? selection(field.selectionSet) : {},
    },
  }
}

/** The engine marks values that JSON has no type for; the native engine's GraphQL answers do not. */
function unmarked(given) {
  if (Array.isArray(given)) return given.map(unmarked)
  if (given === null || typeof given !== 'object') return given
  if ('$type' in given) return given.value
  return Object.fromEntries(Object.entries(given).map(([key, item]) => [key, unmarked(item)]))
}

function answer(given) {
  if (!given.data) return given
  return { ...given, data: { result: unmarked(Object.values(given.data)[0]) } }
}

function startEngine() {
  const runtime = path.join(modules, '@prisma/client/runtime')
  const glue = load(path.join(runtime, 'query_engine_bg.postgresql.js'))
  const wasm = new WebAssembly.Module(readFileSync(path.join(runtime, 'query_engine_bg.postgresql.wasm')))
  glue.__wbg_set_wasm(new WebAssembly.Instance(wasm, { './query_engine_bg.js': glue }).exports)
  const options = {
    datamodel, logLevel: 'error', logQueries: false, datasourceOverrides: {}, env: process.env,
    configDir: '.', ignoreEnvVarErrors: true, engineProtocol: 'json', enableTracing: false,
  }
  return new glue.QueryEngine(options, () => {}, bindAdapter(new PrismaPg(new pg.Pool({ max: 10 }))))
}

const engine = startEngine()
const connected = engine.connect('{}')

async function handle(url, transaction, body) {
  await connected
  if (url.startsWith('/status')) return { status: 'ok' }
  if (url.startsWith('/metrics')) return { counters: [], gauges: [], histograms: [] }
  if (url === '/transaction/start') return JSON.parse(await engine.startTransaction(body, '{}'))
  const [, id, end] = /^\/transaction\/([^/]+)\/(commit|rollback)/.exec(url) ?? []
  if (id) return JSON.parse((await engine[`${end}Transaction`](id, '{}')) || '{}')
  const asked = JSON.parse(body)
  if (!asked.batch) return answer(JSON.parse(await engine.query(JSON.stringify(request(asked)), '{}', transaction)))
  const batch = { batch: asked.batch.map(request), transaction: asked.transaction ? {} : undefined }
  const given = JSON.parse(await engine.query(JSON.stringify(batch), '{}', transaction))
  return given.batchResult ? { ...given, batchResult: given.batchResult.map(answer) } : given
}

function failure(error) {
  console.error('query engine:', error.message)
  return { errors: [{ error: error.message, user_facing_error: { message: error.message, error_code: 'P2010', meta: {} } }] }
}

const server = http.createServer(async (asked, given) => {
  let body = ''
  for await (const chunk of asked) body += chunk
  const said = await handle(asked.url, asked.headers['x-transaction-id'], body).catch(failure)
  given.writeHead(said.error_code ? 500 : 200, { 'content-type': 'application/json' })
  given.end(JSON.stringify(said))
})
server.listen(Number(process.argv[process.argv.indexOf('-p') + 1]), '127.0.0.1')
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(0))
