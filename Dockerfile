# The gateway's image: built in a first stage, then production dependencies, dist/ and nothing else.
FROM node:24-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY tsconfig.json ./
COPY scripts ./scripts
COPY src ./src
COPY web ./web
# Source maps and type declarations are for people who import the package, not for a container.
RUN npm run build \
 && npm prune --omit=dev --no-audit --no-fund \
 && find dist -name '*.map' -o -name '*.d.ts' | xargs rm -f

FROM node:24-bookworm-slim
ENV NODE_ENV=production
WORKDIR /app
# One layer, owned by root: the gateway's user can read its program and change nothing of it.
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
COPY package.json LICENSE ./
COPY deploy/health-check.mjs deploy/make-secret.mjs ./deploy/
# An empty volume mounted at one of these takes over this owner, so that make-secret.mjs needs no root.
RUN ln -s /app/dist/cli.js /usr/local/bin/signalbox \
 && mkdir -m 0700 /var/lib/signalbox /var/lib/signalbox-turn \
 && chown node:node /var/lib/signalbox /var/lib/signalbox-turn
USER node
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=4s --start-period=30s --retries=3 CMD ["node", "/app/deploy/health-check.mjs"]
# No init inside: the primary handles SIGTERM and collects its workers itself. `docker run --init` (`init: true` in the compose
# file) puts the engine's tini in front, so that a SIGTERM during the start, before the handlers are there, ends it too.
CMD ["node", "--max-semi-space-size=2", "/app/dist/cli.js", "start"]
