# The gateway as an image: docker build -t spillway .
# The same Node as in package.json; to be exact to the byte, name the images by their digests.
ARG NODE_IMAGE=node:24.21.0-slim
# What it runs on: the C library, certificates, time zones; no shell and no package manager. Any image with the same C library will do, such as
# NODE_IMAGE for whoever wants to look around inside.
ARG BASE_IMAGE=gcr.io/distroless/cc-debian12

# All stages work where the gateway will stand: what Node has compiled goes by its path.
FROM ${NODE_IMAGE} AS packages
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# Without scripts: the only one would download a second Node.
RUN npm ci --omit=dev --ignore-scripts
COPY tools/image tools/image
RUN node tools/image/prune.ts node_modules

FROM ${NODE_IMAGE} AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts
COPY tools/build.ts tools/build.ts
COPY src src
RUN npm run build

# One start with all that there is, as the user that it will run as: others' compiled code is not taken by Node.
FROM packages AS compiled
COPY config/models.yaml config/models.yaml
COPY bin bin
COPY --from=build /app/dist dist
RUN mkdir node_modules/.compile-cache && chown 1000:1000 node_modules/.compile-cache
USER 1000:1000
RUN node tools/image/warm.ts && chmod -R a+rX node_modules/.compile-cache

FROM ${BASE_IMAGE}
ENV NODE_ENV=production \
    SPILLWAY_CONFIG=/etc/spillway/spillway.yaml
WORKDIR /app
# From what changes seldom to what changes always.
COPY --from=packages /usr/local/bin/node /usr/local/bin/node
COPY --from=packages /app/node_modules node_modules
COPY package.json LICENSE ./
# Found where a configuration is mounted alone as /etc/spillway/spillway.yaml, and to be named elsewhere: prices: /app/config/prices.yaml
COPY config/prices.yaml config/prices.yaml
# What models refuse, where a configuration names no such file: looked for beside dist.
COPY config/models.yaml config/models.yaml
COPY config/prices.yaml /etc/spillway/prices.yaml
COPY bin bin
COPY --from=build /app/dist dist
COPY --from=compiled --chown=0:0 /app/node_modules/.compile-cache node_modules/.compile-cache
# The image's own user, by its number so that Kubernetes can tell that it is not root. It may write nothing, and need not.
USER 1000:1000
EXPOSE 8080 9090
STOPSIGNAL SIGTERM
# The admin listener has this port unless the configuration or --admin says otherwise.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
    CMD ["node", "-e", "fetch('http://127.0.0.1:9090/readyz').then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
# Exec form, so that signals reach Node. `docker run ... spillway key` runs another command in place of the gateway.
ENTRYPOINT ["node", "bin/spillway.js"]
CMD ["serve", "--listen", "0.0.0.0:8080"]
