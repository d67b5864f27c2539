"""Crystals: supercells, defects, relaxation, oxidation states."""
