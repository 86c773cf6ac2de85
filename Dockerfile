# Yilian's images. Targets: `yilian` (node, witness, contract service) and `network` (the same with Fabric's tools, for
# the one-shots that make and administer a network). Needs BuildKit.
#   docker build --target yilian -t yilian .
# PYTHON_IMAGE: any image with Python 3.11 or newer and venv. FABRIC_TOOLS: an image with /opt/fabric as the stage
# `fabric` makes it, instead of building it here.
ARG PYTHON_IMAGE=python:3.12-slim-bookworm
ARG GO_IMAGE=golang:1.26-bookworm
ARG FABRIC_TOOLS=fabric

FROM ${PYTHON_IMAGE} AS packages
ARG UV_VERSION=0.13.9
RUN python3 -m venv /opt/uv && /opt/uv/bin/pip install --quiet --no-cache-dir uv==${UV_VERSION}
ENV UV_PROJECT_ENVIRONMENT=/opt/yilian UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_NO_CACHE=1 UV_PYTHON_DOWNLOADS=never
WORKDIR /source
COPY pyproject.toml uv.lock README.md LICENSE ./
RUN /opt/uv/bin/uv sync --quiet --locked --no-dev --no-install-project
COPY domain domain
COPY chaincode chaincode
COPY network network
COPY offchain offchain
COPY node_service node_service
COPY patient_wallet patient_wallet
COPY yilian yilian
RUN /opt/uv/bin/uv sync --quiet --locked --no-dev --no-editable

FROM ${PYTHON_IMAGE} AS yilian
COPY --from=packages /opt/yilian /opt/yilian
ENV PATH=/opt/yilian/bin:/usr/local/bin:/usr/bin:/bin PYTHONDONTWRITEBYTECODE=1
RUN install --directory --mode 700 --owner 10001 --group 10001 /wallet
USER 10001:10001
WORKDIR /tmp
CMD ["yilian", "--help"]

# The tag's commit names the whole source; its dependencies are in it (vendor/).
FROM ${GO_IMAGE} AS fabric
ARG FABRIC_VERSION=3.1.5
ARG FABRIC_COMMIT=86c1172bec37e6590c6b1ae6f847833df48d65fc
WORKDIR /fabric
RUN git init --quiet && git fetch --quiet --depth 1 https://github.com/hyperledger/fabric ${FABRIC_COMMIT} \
  && git checkout --quiet FETCH_HEAD
RUN CGO_ENABLED=0 go build -mod=vendor -trimpath -o /opt/fabric/bin/ \
  -ldflags "-s -w -X github.com/hyperledger/fabric/common/metadata.Version=${FABRIC_VERSION}" \
  ./cmd/peer ./cmd/orderer ./cmd/configtxgen ./cmd/configtxlator ./cmd/cryptogen
COPY network/topology/builder/static/main.go /static/builder.go
COPY network/topology/probe/main.go /static/probe.go
RUN export CGO_ENABLED=0 && mkdir -p /opt/fabric/builder/bin && go build -trimpath -o /opt/fabric/probe /static/probe.go \
  && for step in detect build release; do go build -trimpath -o /opt/fabric/builder/bin/$step /static/builder.go; done

FROM ${FABRIC_TOOLS} AS tools

FROM yilian AS network
COPY --from=tools /opt/fabric /opt/fabric
ENV FABRIC_BIN=/opt/fabric/bin
