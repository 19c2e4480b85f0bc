"""One trajectory on one worker, from starting budget to last loop; knows nothing of Ray."""
