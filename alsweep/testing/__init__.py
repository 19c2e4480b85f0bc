"""Help for tests of alsweep and of its plug-ins."""
