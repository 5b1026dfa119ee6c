"""Run first by every Python process that has this folder on its path: see tests/chaos/saboteurs.py."""

from tests.chaos.saboteurs import sabotage

sabotage()
