# Debian 12: its libdnnl2 is the oneDNN 2.6 that ablate is tested with.
FROM node:20-bookworm-slim
WORKDIR /ablate
COPY . .
RUN node scripts/setup.mjs && rm -rf /var/lib/apt/lists/* /root/.npm \
  && mkdir -p runs /home/node/.cache && chown node:node runs /home/node/.cache
USER node
# Runs and data sets outlive the container: docker run -v "$PWD/runs:/ablate/runs" -v ablate-cache:/home/node/.cache ablate train tuto
VOLUME ["/ablate/runs", "/home/node/.cache"]
ENTRYPOINT ["node", "/ablate/bin/ablate.js"]
CMD ["--help"]
