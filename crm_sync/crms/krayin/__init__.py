"""Krayin, a CRM for sales: contacts become Persons and Leads, conversations Activities, messages notes, and back.

Where to look:

* the API: ``session`` (calls with one token), ``client`` (one method an endpoint), ``answers`` (what Krayin means);
* connecting: ``setup``, ``settings``, ``notices`` (Krayin's webhook and workflow);
* people: ``persons``, ``matching``, ``organizations``;
* leads: ``leads``, ``stages``;
* activities, all ``tagged`` to be known again: ``activities`` of conversations, ``notes`` of messages, ``files`` of
  attachments, with the words of ``content``; ``crms.history`` and ``crms.markup``;
* what comes back: ``pull`` (the feed), ``updates``.

``processor`` is where an event comes in, ``mapping`` holds the plain tables, ``work`` what all of them share, and
``foresight`` tells the engine what an event will make.
"""

from crm_sync.crms import manifest
from crm_sync.crms.base import App, Feed, Notices
from crm_sync.crms.krayin import notices, pull
from crm_sync.crms.krayin.foresight import foresees
from crm_sync.crms.krayin.processor import KrayinProcessor
from crm_sync.crms.krayin.settings import validate
from crm_sync.crms.krayin.setup import check, connect, pace, renews, setup

app = App(
    manifest=manifest.load(__package__),
    connect=connect,
    processor=KrayinProcessor,
    check=check,
    setup=setup,
    validate=validate,
    foresees=foresees,
    renews=renews,
    pace=pace,
    feed=Feed(pull.changes, pull.interval_s),
    notices=Notices(notices.verify),
)
