"""Stand-ins for the servers crm_sync talks to: for tests, the demo and the benches.

Every sandbox is a Flask application that answers as the recorded exchanges of the real server do; it keeps its
data in memory and forgets it when it stops.
"""
