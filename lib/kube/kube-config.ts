/**
 * kubeConfigAuth: the way of a person or a test to the API server, as kubectl would go: KUBECONFIG, ~/.kube/config,
 * or the pod's service account.
 *
 * The only file that loads client-node, which costs half a second and 90 MB: import it where a command needs it.
 *
 * @module
 */
import { existsSync, readFileSync } from "node:fs";
import type { KubeAuth, KubeCredentials } from "./types.ts";

export interface KubeConfigOptions {
  /** Default: the current context. */
  readonly context?: string | undefined;
  /** Default: KUBECONFIG, ~/.kube/config, the pod's service account. */
  readonly kubeconfigPath?: string | undefined;
}

type KubeConfig = InstanceType<typeof import("@kubernetes/client-node").KubeConfig>;

/** Rejects when there is no such context or when it asks for what we cannot do. */
export async function kubeConfigAuth(options: KubeConfigOptions = {}): Promise<KubeAuth> {
  const library = await import("@kubernetes/client-node").catch((cause: unknown) => {
    throw new Error(
      'Cannot read a kubeconfig here: the package "@kubernetes/client-node" is not installed, and the image has it not; ' +
        "run in a pod, or write --api-server, --token-file and --ca-file",
      { cause },
    );
  });
  const load = () => loaded(new library.KubeConfig(), options);
  let config = load();
  let asked: Promise<KubeCredentials> | undefined;
  return {
    server: clusterOf(config).server,
    namespace: config.getContextObject(config.getCurrentContext())?.namespace ?? "default",
    credentials() {
      // An exec plugin is started once, however many calls wait for it.
      asked ??= credentialsOf(config).finally(() => {
        asked = undefined;
      });
      return asked;
    },
    refused() {
      config = load();
    },
  };
}

function loaded(config: KubeConfig, { context, kubeconfigPath }: KubeConfigOptions): KubeConfig {
  if (kubeconfigPath === undefined) config.loadFromDefault();
  else if (existsSync(kubeconfigPath)) config.loadFromFile(kubeconfigPath);
  else throw new Error(`Cannot read the kubeconfig "${kubeconfigPath}": there is no such file`);
  if (context !== undefined) config.setCurrentContext(context);
  const { name, proxyUrl } = clusterOf(config);
  if (proxyUrl !== undefined && proxyUrl !== "") {
    throw new Error(`Cannot use cluster "${name}" of the kubeconfig: proxy-url is not supported`);
  }
  return config;
}

function clusterOf(config: KubeConfig): NonNullable<ReturnType<KubeConfig["getCurrentCluster"]>> {
  const name = config.getCurrentContext();
  if (!name || config.getContextObject(name) === null) {
    throw new Error(`Cannot use the kubeconfig: it has no context "${name ?? ""}"`);
  }
  const cluster = config.getCurrentCluster();
  if (cluster === null)
    throw new Error(`Cannot use the kubeconfig: context "${name}" names no cluster it has`);
  return cluster;
}

async function credentialsOf(config: KubeConfig): Promise<KubeCredentials> {
  const { server, skipTLSVerify, tlsServerName, caFile, caData } = clusterOf(config);
  const options: HttpsOptions = { headers: {} };
  // client-node refuses http: and drops the cluster's own settings when there is no user.
  if (config.getCurrentUser() !== null && server.startsWith("https:"))
    await config.applyToHTTPSOptions(options);
  const { ca, cert, key, auth, headers } = options;
  const authorization = auth && { authorization: `Basic ${Buffer.from(auth).toString("base64")}` };
  return {
    ca: ca ?? fileOrBase64(caFile, caData),
    cert,
    key,
    servername: tlsServerName || undefined,
    rejectUnauthorized: skipTLSVerify ? false : undefined,
    headers: { ...headers, ...authorization },
  };
}

interface HttpsOptions {
  ca?: Buffer;
  cert?: Buffer;
  key?: Buffer;
  auth?: string;
  headers: Record<string, string>;
}

function fileOrBase64(file: string | undefined, data: string | undefined): Buffer | undefined {
  if (file) return readFileSync(file);
  return data ? Buffer.from(data, "base64") : undefined;
}
