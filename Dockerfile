# docker build -t earshot . && docker run -p 127.0.0.1:7411:7411 -v earshot:/data -v /my/clips:/media:ro earshot
# There are no keys yet: publish the port on loopback only, or behind a proxy that asks for a log-in.
# Clients that use another name than localhost need EARSHOT_HOSTS.
FROM node:22-bookworm-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends python3 make g++ && rm -rf /var/lib/apt/lists/*
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# The image uses the CPU: docs/gpu.md.
ENV ONNXRUNTIME_NODE_INSTALL=skip
RUN npm ci --no-audit --no-fund
COPY tsconfig.json ./
COPY src ./src
RUN npx tsc && npm prune --omit=dev

FROM node:22-bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends ffmpeg && rm -rf /var/lib/apt/lists/*
WORKDIR /app
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/dist/src ./dist/src
COPY package.json openapi.yaml LICENSE NOTICE ./
COPY migrations ./migrations
COPY models ./models
# Inside of a container the server has to listen on all addresses; what is published decides who reaches it.
ENV EARSHOT_ALLOW_UNAUTHENTICATED=1
ENV NODE_ENV=production ORT_DISABLE_TELEMETRY=1 EARSHOT_DATA=/data EARSHOT_HOST=0.0.0.0 EARSHOT_PORT=7411 EARSHOT_ROOTS=/media
RUN mkdir /data && chown node:node /data
USER node
VOLUME /data
EXPOSE 7411
HEALTHCHECK --start-period=20s CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.EARSHOT_PORT}/readyz`).then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "dist/src/cli/main.js"]
CMD ["serve"]
