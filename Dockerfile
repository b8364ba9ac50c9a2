# The gateway and its commands as files without dependencies, on a plain Node.js. `docker build -t stockgate .`
# Another image will do that has node, npm and an account that is called node: `--build-arg NODE=…`.
ARG NODE=node:24-bookworm-slim

FROM ${NODE} AS build
WORKDIR /build
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts
COPY . .
RUN npm run build

FROM ${NODE}
WORKDIR /app
COPY --from=build /build/dist ./
USER node
ENV NODE_ENV=production STOCKGATE_SHARDS=/app/shards.json
EXPOSE 8080 8081
HEALTHCHECK --interval=5s --timeout=3s --start-period=10s CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.ADMIN_PORT ?? 8081}/healthz`).then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "--max-semi-space-size=64", "main.mjs"]
