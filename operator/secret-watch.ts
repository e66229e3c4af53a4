/**
 * SecretWatch: the Secrets that objects name, each watched by its name. None is ever listed with others.
 *
 * Only the keys that connectors use are kept. A Secret that nothing names any more is let go.
 *
 * @module
 */
import { readSecret } from "../crds/secret-reader.ts";
import { RESOURCES } from "../lib/kube/paths.ts";
import { startReflector } from "../lib/kube/reflector.ts";
import type { KubeObject, Reflector } from "../lib/kube/types.ts";
import type { Secrets } from "../snapshot/mod.ts";
import type { WatchDeps } from "./watched.ts";

export interface SecretWatch {
  /** Says which Secrets (namespace/name) `user` needs from now on. Resolves when each was looked at once, or after a while. */
  follow(user: string, names: ReadonlySet<string>): Promise<void>;
  /** Those that exist; of the names that were looked at. */
  contents(names: ReadonlySet<string>): Secrets;
  /** It was looked at, and there is none. One that could not be looked at yet is not gone. */
  isGone(name: string): boolean;
  stop(): void;
}

const KEYS: ReadonlySet<string> = new Set(["tls.crt", "tls.key", "ca.crt", "users", "username", "password"]);

/** A Secret that cannot be read (RBAC) must not hold up the rest. */
const FIRST_LOOK_MS = 5000;

type Content = Readonly<Record<string, string>>;

export function watchSecrets(
  deps: Omit<WatchDeps, "namespaces">,
  onChange: (users: ReadonlySet<string>) => void,
): SecretWatch {
  const watched = new Map<string, { readonly reflector: Reflector<Content>; readonly users: Set<string> }>();
  const open = (name: string) => {
    const [namespace = "", own = ""] = name.split("/");
    const users = new Set<string>();
    const reflector = startReflector<Content>({
      ...deps,
      type: RESOURCES.Secret,
      namespace,
      fieldSelector: `metadata.name=${own}`,
      transform: contentOf,
      onChange: () => onChange(users),
    });
    return { reflector, users };
  };
  const leave = (user: string, names: ReadonlySet<string>) => {
    for (const [name, { reflector, users }] of watched) {
      if (names.has(name) || !users.delete(user) || users.size > 0) continue;
      reflector.stop();
      watched.delete(name);
    }
  };
  return {
    async follow(user, names) {
      leave(user, names);
      const fresh: Promise<void>[] = [];
      for (const name of names) {
        const one = watched.get(name) ?? open(name);
        watched.set(name, one);
        one.users.add(user);
        if (!one.reflector.isSynced) fresh.push(one.reflector.synced);
      }
      if (fresh.length === 0) return;
      const enough = new AbortController();
      await Promise.race([
        Promise.all(fresh),
        deps.clock.sleep(FIRST_LOOK_MS, enough.signal).catch(() => {}),
      ]);
      enough.abort();
    },
    contents(names) {
      const found = [...names].map((name) => [name, watched.get(name)?.reflector.get(name)] as const);
      return new Map(found.filter((entry): entry is readonly [string, Content] => entry[1] !== undefined));
    },
    isGone(name) {
      const reflector = watched.get(name)?.reflector;
      return reflector?.isSynced === true && reflector.get(name) === undefined;
    },
    stop() {
      for (const { reflector } of watched.values()) reflector.stop();
      watched.clear();
    },
  };
}

function contentOf(object: KubeObject): Content {
  const { content } = readSecret(object);
  return Object.fromEntries(Object.entries(content).filter(([key]) => KEYS.has(key)));
}
