"""Finding, loading and naming the weights of a student."""

import logging

# On import bitsandbytes asks for an optional package that downloads from the hub; it is not needed.
logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
