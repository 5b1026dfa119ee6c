"""Every Redis key of the service, and the client to reach them.

Nothing in Redis is the truth: it may be flushed at any time, and the journal makes everything good again. The
broker's own keys carry the same prefix (``global_keyprefix`` in celeryconfig).
"""

from __future__ import annotations

from redis import Redis

PREFIX = "crm_sync:"

#: How long a call to Redis may take, in seconds, where nobody waits for the answer of a webhook.
SOCKET_TIMEOUT_S = 2.0


def connect(url: str, *, timeout_s: float = SOCKET_TIMEOUT_S) -> Redis:
    """A client that never waits long: a Redis that is away or frozen must not hold anything up."""
    return Redis.from_url(
        url,
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        socket_keepalive=True,
        health_check_interval=25,
        client_name="crm_sync",
    )


def mailbox_lock(mailbox: str) -> str:
    """Name of the mutex on a mailbox (braces: on a cluster its keys share a slot)."""
    return f"{PREFIX}mailbox:{{{mailbox}}}"


def shared_lock(hook_id: int, name: str) -> str:
    """Name of the mutex on something that several contacts of a hook share."""
    return f"{PREFIX}shared:{{{hook_id}:{name}}}"


def record_lock(account_id: int, record: tuple[str, int]) -> str:
    """Name of the mutex on a record of Chatwoot, which several hooks of its account write to."""
    return f"{PREFIX}record:{{{account_id}:{record[0]}:{record[1]}}}"


def pull_lock(hook_id: int) -> str:
    """Name of the mutex on the pulls of a hook."""
    return f"{PREFIX}pull:{{{hook_id}}}"


def pull_wanted(hook_id: int) -> str:
    """Set while a pull that was asked for is on its way."""
    return f"{PREFIX}pull_wanted:{hook_id}"


def armed(mailbox: str) -> str:
    """Set while a wake-up for the mailbox is on its way."""
    return f"{PREFIX}armed:{mailbox}"


def places(hook_id: int) -> str:
    """Sorted set of the claims that work on the hook's mailboxes, by when each is given up for lost."""
    return f"{PREFIX}places:{{{hook_id}}}"


def waiting(hook_id: int) -> str:
    """Sorted set of the mailboxes that wait for a place at the hook, by since when."""
    return f"{PREFIX}waiting:{{{hook_id}}}"


def calls(hook_id: int) -> str:
    """Sorted set of the claims with a call of the hook in flight, by when each is given up for lost."""
    return f"{PREFIX}calls:{{{hook_id}}}"


def calling(hook_id: int) -> str:
    """Sorted set of the claims that wait to make a call of the hook, by since when, or when they last said so."""
    return f"{PREFIX}calling:{{{hook_id}}}"


def handed(hook_id: int, claim: str) -> str:
    """List with a token once a call that ended has made room for this claim's."""
    return f"{PREFIX}handed:{{{hook_id}}}:{claim}"


def spent(hook_id: int) -> str:
    """Sorted set of the hook's calls of the last while, by when they were made."""
    return f"{PREFIX}spent:{{{hook_id}}}"
