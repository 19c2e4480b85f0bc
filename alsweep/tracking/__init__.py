"""Mirrors of the records, for people; nothing is read back. Only this room imports wandb."""
