"""The page. Takes what the core returns, arranges it in a browser; knows no model library.

Importing this package switches off the telemetry of the libraries the page stands on, and keeps
a model's threads from waiting for one another at full speed, before any of them is imported.
"""

import os

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
if "OMP_WAIT_POLICY" not in os.environ:
    # Threads that have nothing to do spin for milliseconds before they sleep. Where a browser or
    # anything else wants a core as well, they take it from the very thread they wait for, and
    # rankings take several times as long; this is short enough to share and costs nothing alone.
    os.environ.setdefault("GOMP_SPINCOUNT", "3000")
