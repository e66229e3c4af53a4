/** Health, readiness and metrics over HTTP, for probes and Prometheus. Nothing else is served. */
import { createServer, type Server } from "node:http";

export interface HttpEndpoints {
  /** False: /readyz answers 503 with the reason. */
  ready(): { readonly ok: boolean; readonly reason: string };
  /** Prometheus text format. */
  metrics(): Promise<{ readonly contentType: string; readonly text: string }>;
}

export interface HttpService {
  readonly port: number;
  close(): Promise<void>;
}

/** Listens on host:port (port 0: any). Rejects when it cannot. */
export function serveHttp(host: string, port: number, endpoints: HttpEndpoints): Promise<HttpService> {
  const server = createServer(async (request, response) => {
    const answer = await respond(request.url ?? "", endpoints);
    response.writeHead(answer.status, { "content-type": answer.contentType, "cache-control": "no-store" });
    response.end(answer.text);
  });
  server.headersTimeout = 10_000;
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => resolve({ port: boundPort(server), close: () => closeServer(server) }));
  });
}

async function respond(url: string, endpoints: HttpEndpoints) {
  const plain = (status: number, text: string) => ({
    status,
    text: `${text}\n`,
    contentType: "text/plain; charset=utf-8",
  });
  switch (url.split("?")[0]) {
    case "/healthz":
      return plain(200, "ok");
    case "/readyz": {
      const { ok, reason } = endpoints.ready();
      return plain(ok ? 200 : 503, ok ? "ready" : reason);
    }
    case "/metrics":
      return { status: 200, ...(await endpoints.metrics()) };
    default:
      return plain(404, "not found: /healthz, /readyz and /metrics are served");
  }
}

function boundPort(server: Server): number {
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
