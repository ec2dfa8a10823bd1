"""The page. Takes what the core returns, arranges it in a browser; knows no model library.

Importing this package switches off the telemetry of the libraries the page stands on, before
any of them is imported.
"""

import os

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
