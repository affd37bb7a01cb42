# syntax=docker/dockerfile:1
# envdoctor's own image. The GPUs and the driver are the host's:
#   docker build -t envdoctor .
#   docker run --rm --gpus all envdoctor check
FROM python:3.13-slim-trixie

# compute: libcuda; utility: NVML, which envdoctor reads. Without --gpus both stay outside and `check` says so.
ENV NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    PYTHONUNBUFFERED=1

# The source is only looked at, so that no layer keeps it. An index of your own: --secret id=pip.conf,src=$HOME/.config/pip/pip.conf
RUN --mount=type=cache,target=/root/.cache/pip,sharing=locked \
    --mount=type=secret,id=pip.conf,target=/etc/pip.conf \
    --mount=type=bind,target=/src \
    python -m venv /opt/envdoctor \
    && /opt/envdoctor/bin/pip install --disable-pip-version-check /src \
    && ln -s /opt/envdoctor/bin/envdoctor /usr/local/bin/envdoctor \
    && useradd --create-home --uid 1000 --user-group envdoctor

USER 1000:1000
WORKDIR /home/envdoctor
ENTRYPOINT ["envdoctor"]
CMD ["check"]
