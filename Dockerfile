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

# Fabric's programs lie in .tools/fabric/bin: those of its release archive, or what `make fabric-tools` built there.
FROM ${GO_IMAGE} AS fabric
COPY network/topology/builder/static/main.go /static/builder.go
COPY network/topology/probe/main.go /static/probe.go
RUN export CGO_ENABLED=0 && mkdir -p /opt/fabric/builder/bin && go build -trimpath -o /opt/fabric/probe /static/probe.go \
  && for step in detect build release; do go build -trimpath -o /opt/fabric/builder/bin/$step /static/builder.go; done
COPY .tools/fabric/bin /opt/fabric/bin

FROM ${FABRIC_TOOLS} AS tools

FROM yilian AS network
COPY --from=tools /opt/fabric /opt/fabric
ENV FABRIC_BIN=/opt/fabric/bin
