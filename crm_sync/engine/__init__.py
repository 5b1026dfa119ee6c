"""The promise: every delivery answered with 2xx ends in exactly one visible outcome, in order per contact."""
