# The page on a CPU, with the bundled student. Building and running it: docs/deploy.md.
FROM python:3.11.14-slim-bookworm

# bitsandbytes needs the system's libgomp. Debian takes old versions of it out of its archive, so a
# pinned one would soon stop the build.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 1000 studio

WORKDIR /home/studio/app

# An index with PyTorch's CPU builds saves several gigabytes; see docs/deploy.md.
ARG PIP_EXTRA_INDEX_URL=""
COPY requirements.txt constraints.txt ./
RUN pip install --no-cache-dir -r requirements.txt -c constraints.txt

COPY LICENSE NOTICE app.py ./
COPY assets assets
COPY reranker reranker
COPY app app

USER 1000
ENV PYTHONUNBUFFERED=1 \
    GRADIO_TEMP_DIR=/tmp/gradio
EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:7860/', timeout=4)"]
CMD ["python", "app.py", "--host", "0.0.0.0"]
