"""alsweep on the head of a cluster of 'ray up', and on that cluster.

ray submit cluster/aws.yaml cluster/on_head.py run SPACE.yaml --out s3://BUCKET/RUN
"""

import sys

from alsweep.cli.main import main

sys.argv += ["--address", "auto"]
main()
