"""People in the loop: the tasks that they are given, and what comes back."""
