"""How labels are kept: the crops that a person saved, and sparse volumes in files."""
