"""Mirrors of the records, for people; nothing is read back from them. Only this room imports wandb."""
