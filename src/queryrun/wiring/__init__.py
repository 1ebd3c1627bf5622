"""Settings -> live components: the only package that knows every class. `node.py` connects them."""
