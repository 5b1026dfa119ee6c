"""How Celery runs here: queues, routing, the beat's schedule and every setting that is not its default.

Installed beside the package as the top-level module ``celeryconfig``; ``crm_sync.celery`` reads it. Nothing in the
broker is the truth: the journal is, so a message may be lost, doubled or late. The settings below keep that rare and
keep every wait short.
"""

from __future__ import annotations

from celery.schedules import crontab
from kombu import Exchange, Queue

from crm_sync import embedded
from crm_sync.config import load
from crm_sync.keys import PREFIX

_config = load()

# -- The broker ----------------------------------------------------------------------------------------------

#: Processes that are not the supervisor's children find its embedded Redis through the data directory.
broker_url = _config.redis_url or embedded.url_of(_config.data_dir) or "redis://127.0.0.1:6379/0"

#: A worker that is killed leaves its messages behind; they come back after this long. It must be longer than a task
#: may run and equal on every node (the shortest one wins).
VISIBILITY_TIMEOUT_S = 600

broker_transport_options = {
    "visibility_timeout": VISIBILITY_TIMEOUT_S,
    # By default kombu looks for messages to give back only every 100 s.
    "unacked_restore_interval": 5,
    "unacked_restore_throttle": 1,
    # Without these a publish to a frozen Redis waits for ever.
    "socket_timeout": 5,
    "socket_connect_timeout": 2,
    "socket_keepalive": True,
    # Notices a half-open connection and reconnects.
    "health_check_interval": 25,
    "global_keyprefix": PREFIX,
    "client_name": "crm_sync",
}
broker_connection_retry_on_startup = True
#: Without end: after the default of 100 tries a worker gives up and exits.
broker_connection_max_retries = None

# -- Messages ------------------------------------------------------------------------------------------------

task_serializer = "json"
result_serializer = "json"
accept_content = ["json"]
#: Outcomes are the journal's.
task_ignore_result = True

# -- Queues --------------------------------------------------------------------------------------------------


def _queue(name: str) -> Queue:
    # Spelled out: left to itself Celery would bind every queue to the default queue's exchange and key.
    return Queue(name, Exchange(name, type="direct"), routing_key=name)


task_default_queue = "events"
#: A misspelt queue is an error, not a queue that nobody reads.
task_create_missing_queues = False
task_queues = [
    _queue("events"),
    # The sweep has a queue of its own: it must not wait behind thousands of wake-ups.
    _queue("ticks"),
    _queue("setup"),
    _queue("pull"),
    _queue("backfill"),
]
task_routes = {
    "crm_sync.wake": {"queue": "events"},
    "crm_sync.sweep": {"queue": "ticks"},
    "crm_sync.housekeeping": {"queue": "ticks"},
    # The look goes with the ticks; the pulls themselves are bulk work.
    "crm_sync.pull_due": {"queue": "ticks"},
    "crm_sync.renew": {"queue": "ticks"},
    "crm_sync.setup*": {"queue": "setup"},
    "crm_sync.pull*": {"queue": "pull"},
    "crm_sync.reconcile*": {"queue": "pull"},
    "crm_sync.backfill*": {"queue": "backfill"},
}

# -- Work ----------------------------------------------------------------------------------------------------

#: A message is given back to nobody until its task is over. A task that raised is acknowledged all the same (the
#: default): its retries are the journal's, and Redis knows no limit to redelivery.
task_acks_late = True
task_reject_on_worker_lost = True
worker_prefetch_multiplier = 1
#: For those who run the prefork pool; threads cannot be stopped, there the timeouts of the calls must do.
task_time_limit = 180
task_soft_time_limit = 150
#: For the prefork pool too: what leaks is given back.
worker_max_tasks_per_child = 1000
#: After a lost connection a running task cannot be acknowledged any more and will be delivered again.
worker_cancel_long_running_tasks_on_connection_loss = True
#: On SIGQUIT: finish what runs, within this time.
worker_soft_shutdown_timeout = 20
worker_enable_soft_shutdown_on_idle = True
#: Events about tasks would cost one publish for each change of state; metrics tell the same.
worker_send_task_events = False
#: crm_sync.telemetry.logging is in charge.
worker_hijack_root_logger = False
worker_redirect_stdouts = False

# -- The beat: run it once -----------------------------------------------------------------------------------

beat_schedule_filename = str(_config.data_dir / "celerybeat-schedule")
beat_max_loop_interval = 5
beat_schedule = {
    "sweep": {
        "task": "crm_sync.sweep",
        "schedule": _config.sweep_interval_s,
        # A tick that is late is no use: the next one does the same.
        "options": {"expires": _config.sweep_interval_s},
    },
    "pull_due": {
        "task": "crm_sync.pull_due",
        # Only looks which hooks are due, from the stored time of their last pull.
        "schedule": 60.0,
        "options": {"expires": 60.0},
    },
    "renew": {
        "task": "crm_sync.renew",
        "schedule": 60.0,
        "options": {"expires": 60.0},
    },
    "housekeeping": {
        "task": "crm_sync.housekeeping",
        # A time of day, for an interval would start anew with each restart of the beat.
        "schedule": crontab(hour="3", minute="17"),
        "options": {"expires": 3600.0},
    },
}
