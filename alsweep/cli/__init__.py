"""The ``alsweep`` command: one file per verb; heavy imports wait until a verb runs."""
