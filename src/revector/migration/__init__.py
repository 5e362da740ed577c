"""Migrations: moving a live collection from one embedding space to another, with a way back."""
