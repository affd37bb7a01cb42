# envdoctor's own image. The GPUs and the driver are the host's:
#   docker build -t envdoctor .
#   docker run --rm --gpus all envdoctor check
FROM python:3.13-slim

# compute: libcuda; utility: NVML, which envdoctor reads. Without --gpus both stay outside and `check` says so.
ENV NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PYTHONUNBUFFERED=1

COPY pyproject.toml README.md LICENSE /src/
COPY envdoctor /src/envdoctor
COPY recipes /src/recipes
COPY benchmarks /src/benchmarks
RUN pip install --no-cache-dir /src && rm -rf /src \
    && useradd --create-home --uid 1000 envdoctor

USER envdoctor
WORKDIR /home/envdoctor
ENTRYPOINT ["envdoctor"]
CMD ["check"]
