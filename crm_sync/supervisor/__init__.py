"""What stands behind ``crm-sync up``: the embedded Redis and the processes of the service, under one roof.

Guarantees to the person who started it: everything runs or nothing does, a part that falls over is started again,
and when the supervisor ends, however it ends, nothing that it started stays behind.
"""

from crm_sync.supervisor.processes import Part, Supervisor
from crm_sync.supervisor.redis import EmbeddedRedis
from crm_sync.supervisor.up import Service, run_up

__all__ = ["EmbeddedRedis", "Part", "Service", "Supervisor", "run_up"]
