"""Training options: what is learnt from images without labels, one small file a kind."""
