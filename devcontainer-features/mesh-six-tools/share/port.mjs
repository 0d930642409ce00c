// Answers on the port that Dapr and the pod's Service name, so that the sidecar sees the app run.
// It knows two files of the run directory: `ready`, which it reads, and `port`, which it makes once it listens.
import { existsSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";

const run = process.env.MESH_SIX_RUN_DIRECTORY ?? "/tmp/mesh-six";
const port = Number(process.env.MESH_SIX_APP_PORT);

function say(message) {
  const now = new Date().toISOString().replace(/\.\d+Z$/, "Z");
  process.stdout.write(`${now} mesh-six port: ${message}\n`);
}

// 404 is how Dapr is told that the app subscribes to nothing and has no actors.
const answers = {
  "/healthz": () => [200, { status: "ok" }],
  "/readyz": () => (existsSync(join(run, "ready")) ? [200, { status: "ready" }] : [503, { status: "starting" }]),
};

const server = createServer((request, response) => {
  const answer = request.method === "GET" || request.method === "HEAD" ? answers[request.url.split("?")[0]] : undefined;
  const [status, body] = answer ? answer() : [404, { error: "nothing is here" }];
  response.writeHead(status, { "content-type": "application/json" });
  response.end(request.method === "HEAD" ? undefined : JSON.stringify(body));
});

let complained = false;
server.on("error", (error) => {
  if (!complained) say(`cannot listen on port ${port} yet: ${error.code}; trying again`);
  complained = true;
  setTimeout(() => server.listen(port), 2000);
});
server.on("listening", () => {
  writeFileSync(join(run, "port"), `${port}\n`);
  say(`listening on port ${port}`);
});
process.on("SIGTERM", () => process.exit(0));
server.listen(port);
