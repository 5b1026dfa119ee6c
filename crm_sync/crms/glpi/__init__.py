"""GLPI, an ITSM: contacts become Users, conversations Tickets, messages ITILFollowups."""

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
