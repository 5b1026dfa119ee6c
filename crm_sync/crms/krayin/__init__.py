"""Krayin, a CRM for sales: contacts become Persons and Leads, conversations Activities, messages notes."""

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
