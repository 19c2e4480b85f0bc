"""``python -m alsweep``: the command line, for places that know modules better than scripts."""

from alsweep.cli.main import main

main()
