# The gateway as an image: docker build -t spillway .
# Both stages are the same Node as in package.json; to be exact to the byte, name the image by its digest.
ARG NODE_IMAGE=node:24.21.0-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
# Without scripts: the only one would download a second Node.
RUN npm ci --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY src src
RUN npm run build && npm prune --omit=dev --ignore-scripts

FROM ${NODE_IMAGE}
ENV NODE_ENV=production \
    SPILLWAY_CONFIG=/etc/spillway/spillway.yaml
WORKDIR /app
COPY --from=build /build/node_modules node_modules
COPY --from=build /build/dist dist
COPY package.json LICENSE ./
COPY bin bin
# Found where a configuration is mounted alone as /etc/spillway/spillway.yaml, and to be named elsewhere: prices: /app/config/prices.yaml
COPY config/prices.yaml config/prices.yaml
# What models refuse, where a configuration names no such file: looked for beside dist.
COPY config/models.yaml config/models.yaml
COPY config/prices.yaml /etc/spillway/prices.yaml
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
