"""GLPI, an ITSM: contacts become Users, conversations Tickets, messages ITILFollowups."""

from crm_sync.crms import manifest
from crm_sync.crms.base import App
from crm_sync.crms.glpi.foresight import foresees
from crm_sync.crms.glpi.processor import GlpiProcessor
from crm_sync.crms.glpi.setup import check, connect, setup, warm_up

app = App(
    manifest=manifest.load(__package__),
    connect=connect,
    processor=GlpiProcessor,
    check=check,
    setup=setup,
    foresees=foresees,
    warm_up=warm_up,
)
