"""GLPI, an ITSM: contacts become Users (or Contacts), conversations Tickets, messages ITILFollowups, and back.

Where to look:

* the API: ``session`` (login, calls, GLPI's clock), ``records`` (what every type of record has), ``client`` (one method
  an endpoint), ``answers`` (what GLPI means), ``lookups`` (what is kept for a while);
* connecting: ``setup``, ``rights``, ``named`` (records that settings name), ``settings``, ``notices`` (webhooks of
  GLPI 11);
* people: ``people`` and ``contacts`` (both are ``counterparts``), ``matching``, ``person_fields``, ``attributes``,
  ``requesters``;
* tickets: ``tickets`` ties together ``openings``, ``descriptions``, ``templates``, ``choices``, ``categories``,
  ``assignments``, ``assets``, ``solutions``, ``standing`` (bin and merges) and ``ticket_attributes``;
* messages: ``followups``, ``versions`` (edits), ``content``, ``documents``; ``crms.history`` and ``crms.markup``;
* what comes back: ``pull`` (the feed), ``updates``, ``tellings``, ``reassignments``, ``returning`` (HTML to Markdown),
  ``conflicts``.

``processor`` is where an event comes in, ``mapping`` holds the plain tables, ``work`` what all of them share, and
``foresight`` tells the engine what an event will make.
"""

from functools import partial

from crm_sync.crms import manifest
from crm_sync.crms.base import App, Feed, Notices
from crm_sync.crms.glpi import notices, pull
from crm_sync.crms.glpi.foresight import foresees
from crm_sync.crms.glpi.processor import GlpiProcessor
from crm_sync.crms.glpi.settings import validate
from crm_sync.crms.glpi.setup import check, connect, setup, warm_up

_manifest = manifest.load(__package__)

app = App(
    manifest=_manifest,
    connect=connect,
    processor=GlpiProcessor,
    check=check,
    setup=setup,
    validate=partial(validate, defaults=manifest.defaults(_manifest)),
    foresees=foresees,
    warm_up=warm_up,
    feed=Feed(pull.changes, pull.interval_s),
    notices=Notices(notices.verify, notices.answer),
)
