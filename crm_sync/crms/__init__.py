"""The CRMs, a folder each, all of one shape; what they know of the engine is in base.py and http.py."""
